//! The workspace as cargo describes it: crates, their roots, and what their manifests depend on.

use std::fs;
use std::io;
use std::path::PathBuf;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand, Package};

/// What can go wrong while the workspace is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Cargo refuses the manifests; its message says which.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// A manifest that cargo listed cannot be read.
    #[error("{path}: {source}")]
    Manifest {
        /// The manifest.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// All crates of the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Folder of what is built.
    pub(crate) target: PathBuf,
    /// The crates, by folder.
    pub(crate) members: Vec<Member>,
}

/// One crate.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// Its folder below the root, as `dataplane/tcp`.
    pub(crate) folder: String,
    /// The text of its manifest.
    pub(crate) manifest: String,
    /// Roots of its library and binaries, below the workspace's root.
    pub(crate) crate_roots: Vec<String>,
    /// What its manifest names, of every kind and for every target.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// Name of the package, not of its alias.
    pub(crate) name: String,
    /// Normal, build or dev.
    pub(crate) kind: DependencyKind,
    /// Whether it is a crate of this workspace.
    pub(crate) is_ours: bool,
}

/// Reads the manifests only: no lock file, no registry, no network.
pub(crate) fn read() -> Result<Workspace, Error> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .features(CargoOpt::AllFeatures)
        .exec()?;
    let root = metadata.workspace_root.clone();
    let mut members = Vec::new();
    for package in metadata.workspace_packages() {
        members.push(member(&root, package)?);
    }
    members.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(Workspace {
        root: root.into_std_path_buf(),
        target: metadata.target_directory.into_std_path_buf(),
        members,
    })
}

fn member(root: &Utf8Path, package: &Package) -> Result<Member, Error> {
    let path = &package.manifest_path;
    let manifest = fs::read_to_string(path)
        .map_err(|source| Error::Manifest { path: path.clone(), source })?;
    let folder = path.parent().unwrap_or(root);
    let is_root = |target: &&cargo_metadata::Target| {
        target.is_lib() || target.is_bin() || target.is_proc_macro() || target.is_cdylib()
    };
    Ok(Member {
        name: package.name.to_string(),
        folder: below(root, folder),
        manifest,
        crate_roots: package
            .targets
            .iter()
            .filter(is_root)
            .map(|target| below(root, &target.src_path))
            .collect(),
        dependencies: package
            .dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency.name.clone(),
                kind: dependency.kind,
                is_ours: dependency.path.is_some(),
            })
            .collect(),
    })
}

fn below(root: &Utf8Path, path: &Utf8Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string()
}
