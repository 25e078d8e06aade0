# What a gateway of `scripts/run` shows its tools, under the name of the run. A gateway that ends
# takes it away; this is for those that were killed.
set -euo pipefail

# The folders of all instances, as the gateway tries them.
instance_folders=(/run/abele)
[[ "${XDG_RUNTIME_DIR:-}" != /* ]] || instance_folders+=("$XDG_RUNTIME_DIR/abele")
readonly instance_folders

# Whether $1 is a folder of this user's, as this or another run has made it.
is_own_folder() {
    [[ -d "$1" && ! -L "$1" && -O "$1" ]]
}

# remove_instance NAME: whose gateway does not run any more.
remove_instance() {
    local place file target
    for place in "${instance_folders[@]}"; do
        is_own_folder "$place/$1" || continue
        # Where the folder is no memory, the file is a link to one that is.
        for file in "$place/$1"/stats "$place/$1"/stats.*.new; do
            target="$(readlink -- "$file")" || continue
            [[ ! "$target" =~ ^/dev/shm/abele\.[0-9]+\.[0-9a-f]+$ ]] || rm -f -- "$target"
        done
        rm -rf -- "${place:?}/$1"
    done
}
