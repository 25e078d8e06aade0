//! The pages of a program: one for itself and one for each command, and the completions of three
//! shells.

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::Pages;
use crate::roff::plain;

impl Pages {
    /// Writes the pages of a program into `section` of the manual and its completions. `see_also`
    /// are other pages, as `abelectl(8)`.
    ///
    /// # Panics
    ///
    /// If a file cannot be written, or one lacks a command or an option of the program.
    pub fn program(&self, mut program: Command, section: &str, see_also: &[&str]) {
        program.build();
        self.page(&program, section, see_also);
        self.completions(&program);
    }

    /// The page of a command and, below it, those of its own commands.
    fn page(&self, command: &Command, section: &str, see_also: &[&str]) {
        let name = name(command);
        let man = Man::new(without_help(command)).section(section).manual("Abele");
        let mut page = Vec::new();
        man.render(&mut page).expect("memory takes all");
        let mut page = with_dashes(command, &String::from_utf8_lossy(&page)).into_bytes();
        page.extend_from_slice(environment(command).as_bytes());
        let others = see_also.iter().filter(|other| !other.starts_with(&format!("{name}(")));
        let others: Vec<_> = others.map(|other| plain(other)).collect();
        page.extend_from_slice(format!(".SH \"SEE ALSO\"\n{}\n", others.join(", ")).as_bytes());
        let text = String::from_utf8_lossy(&page);
        for option in shown_options(command) {
            assert!(text.contains(&plain(&option)), "{name}.{section} lacks {option}");
        }
        self.write(&format!("man{section}/{name}.{section}"), &page);
        for command in shown_commands(command) {
            self.page(command, section, see_also);
        }
    }

    fn completions(&self, program: &Command) {
        let name = program.get_name();
        let shells = [
            (Shell::Bash, format!("bash/{name}")),
            (Shell::Zsh, format!("zsh/_{name}")),
            (Shell::Fish, format!("fish/{name}.fish")),
        ];
        for (shell, place) in shells {
            let mut script = Vec::new();
            generate(shell, &mut program.clone(), name, &mut script);
            let text = String::from_utf8_lossy(&script);
            for command in shown_commands(program) {
                assert!(text.contains(command.get_name()), "{place} lacks {}", command.get_name());
                for option in shown_options(command) {
                    let (word, long) = (option.as_str(), option.trim_start_matches('-'));
                    assert!(text.contains(word) || text.contains(long), "{place} lacks {option}");
                }
            }
            self.write(&place, &script);
        }
    }
}

/// `help` has no page, so none is named.
fn without_help(command: &Command) -> Command {
    let command = command.clone();
    match command.find_subcommand("help") {
        Some(_) => command.mut_subcommand("help", |help| help.hide(true)),
        None => command,
    }
}

/// A synopsis has `--` in front of arguments that are taken as they are.
fn with_dashes(command: &Command, page: &str) -> String {
    let last = command.get_positionals().filter(|argument| argument.is_last_set());
    last.fold(page.to_owned(), |page, argument| {
        let value = argument.get_value_names().and_then(<[_]>::first);
        let name = value.map_or(argument.get_id().as_str(), |value| value.as_str());
        let shown = format!("<\\fI{name}\\fR>");
        assert!(page.contains(&shown), "{} lacks {shown}", command.get_name());
        page.replacen(&shown, &format!("\\-\\- {shown}"), 1)
    })
}

/// What the environment may say in place of options.
fn environment(command: &Command) -> String {
    let variables = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let entries = variables.filter_map(|argument| {
        let (variable, option) = (argument.get_env()?.to_string_lossy(), argument.get_long()?);
        let option = plain(&format!("--{option}"));
        Some(format!(".TP\n\\fB{}\\fR\nIn place of \\fB{option}\\fR\n", plain(&variable)))
    });
    let entries: String = entries.collect();
    if entries.is_empty() { entries } else { format!(".SH ENVIRONMENT\n{entries}") }
}

/// The name with those of the commands above it, as `abelectl-stats`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The commands that are meant for people, without `help`, which every program has.
fn shown_commands(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn shown_options(command: &Command) -> impl Iterator<Item = String> {
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
    options.filter_map(|option| Some(format!("--{}", option.get_long()?)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Arg, ArgAction};

    use super::*;

    fn program() -> Command {
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("One object");
        let to = Arg::new("to").long("send-to").env("TOOL_SEND_TO").help("Where");
        let rest = Arg::new("command").last(true).num_args(1..).required(true);
        let stats = Command::new("stats").about("Print all counters").args([json, to, rest]);
        let inner = Command::new("inner").hide(true);
        Command::new("tool").about("Tells all").version("1").subcommand(stats).subcommand(inner)
    }

    #[test]
    fn each_command_has_its_page_and_each_shell_its_script() {
        let pages = Pages::at(None);
        pages.program(program(), "8", &["tool(8)", "other(1)"]);
        let read = |place: &str| fs::read_to_string(pages.folder.join(place)).expect(place);
        let page = read("man8/tool-stats.8");
        assert!(page.contains("\\-\\-json") && page.contains("Print all counters"), "{page}");
        let variable =
            ".SH ENVIRONMENT\n.TP\n\\fBTOOL_SEND_TO\\fR\nIn place of \\fB\\-\\-send\\-to\\fR\n";
        assert!(page.contains(variable) && page.contains("\\-\\- <\\fIcommand\\fR>"), "{page}");
        assert!(page.starts_with(".ie") || page.contains(".TH tool-stats 8"), "{page}");
        let page = read("man8/tool.8");
        assert!(page.ends_with(".SH \"SEE ALSO\"\nother(1)\n"));
        assert!(page.contains("tool\\-stats(8)") && !page.contains("help(8)"), "{page}");
        for place in ["bash/tool", "zsh/_tool", "fish/tool.fish"] {
            assert!(read(place).contains("json"), "{place}");
        }
        assert!(!pages.folder.join("man8/tool-inner.8").exists(), "it is hidden");
        assert!(!pages.folder.join("man8/tool-help.8").exists(), "every program has it");
    }
}
