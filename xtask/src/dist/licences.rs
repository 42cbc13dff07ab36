//! The licences of everything that is in the binary: names first, then the texts that come with the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::release::Release;
use super::run;
use crate::{Result, assets, cannot, cargo};

/// How the names of files with licences begin, in upper case.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Packages by the text of their licence.
type Texts = BTreeMap<String, BTreeSet<String>>;

/// All of it as one text.
pub(super) fn text(release: &Release) -> Result<String> {
    let mut command = cargo::command();
    command.args(["metadata", "--format-version=1", "--locked", "--filter-platform", release.machine.triple]);
    let metadata: Value = serde_json::from_slice(&run::output(command.current_dir(&release.root))?)?;
    let mut text = format!("Zenith {} has these packages in it.\n\n", release.version);
    // The same text comes with many packages; what ends a line differs.
    let mut texts = Texts::new();
    for package in dependencies(&metadata) {
        let of = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{} {}", of("name"), of("version"));
        let licence = package["license"].as_str().unwrap_or("see its text below");
        writeln!(text, "{name}: {licence}")?;
        let folder = Path::new(of("manifest_path")).parent().unwrap_or(Path::new("/"));
        add(&mut texts, folder, &name)?;
    }
    text.push_str("\nIts page has these packages in it.\n\n");
    let packages = assets::packages(&release.root)?;
    for (name, licence, folder) in page(&packages)? {
        writeln!(text, "{name}: {licence}")?;
        add(&mut texts, &folder, &name)?;
    }
    for (content, packages) in texts {
        let packages = packages.into_iter().collect::<Vec<_>>().join(", ");
        write!(text, "\n{}\n{packages}\n\n{content}\n", "-".repeat(80))?;
    }
    Ok(text)
}

/// Takes the licences that lie in the folder of a package.
fn add(texts: &mut Texts, folder: &Path, name: &str) -> Result<()> {
    for file in licence_files(folder, 1)? {
        let content = fs::read(&file).map_err(cannot("read", &file))?;
        let content = String::from_utf8_lossy(&content).replace("\r\n", "\n").trim().to_owned();
        texts.entry(content).or_default().insert(name.to_owned());
    }
    Ok(())
}

/// The packages of the page in npm's folder: name and version, licence, folder.
fn page(packages: &Path) -> Result<Vec<(String, String, PathBuf)>> {
    let mut found = Vec::new();
    for item in fs::read_dir(packages).map_err(cannot("list", packages))? {
        let folder = item?.path();
        let manifest = folder.join("package.json");
        if !manifest.is_file() {
            continue;
        }
        let manifest: Value =
            serde_json::from_slice(&fs::read(&manifest).map_err(cannot("read", &manifest))?)?;
        let of = |key: &str| manifest[key].as_str().unwrap_or("see its text below");
        found.push((format!("{} {} (npm)", of("name"), of("version")), of("license").to_owned(), folder));
    }
    found.sort();
    Ok(found)
}

/// The foreign packages that the command is compiled with, by name and version. Those of build scripts are not in it.
fn dependencies(metadata: &Value) -> Vec<&Value> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .filter_map(|node| Some((node["id"].as_str()?.to_owned(), node)))
        .collect();
    let mut waiting: Vec<String> = packages
        .iter()
        .filter(|package| package["name"] == "zenith" && package["source"].is_null())
        .filter_map(|package| package["id"].as_str().map(str::to_owned))
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if reached.contains(&id) {
            continue;
        }
        for dependency in nodes.get(&id).map(|node| list(&node["deps"])).unwrap_or_default() {
            let compiled_in = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            if let Some(id) = dependency["pkg"].as_str().filter(|_| compiled_in) {
                waiting.push(id.to_owned());
            }
        }
        reached.insert(id);
    }
    let mut found: Vec<&Value> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter(|package| package["id"].as_str().is_some_and(|id| reached.contains(id)))
        .collect();
    found.sort_by_key(|package| (package["name"].as_str(), package["version"].as_str()));
    found
}

/// The files with licences in a folder, and in those it holds, as C sources in a crate have theirs.
fn licence_files(folder: &Path, deeper: u32) -> Result<Vec<PathBuf>> {
    let mut files = run::files(folder)?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        NAMES.iter().any(|licence| name.starts_with(licence)) && !name.ends_with(".RS")
    });
    if deeper > 0 {
        let mut folders: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(cannot("list", folder))?
            .map(|item| Ok(item?.path()))
            .collect::<std::io::Result<_>>()?;
        folders.retain(|path| path.is_dir());
        folders.sort();
        for folder in folders {
            files.extend(licence_files(&folder, deeper - 1)?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_compiled_in_is_listed_and_nothing_else() {
        let package =
            |name: &str, source: Value| json!({ "id": name, "name": name, "version": "1", "source": source });
        let deps = |ids: &[(&str, Value)]| {
            ids.iter()
                .map(|(id, kind)| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] }))
                .collect::<Vec<_>>()
        };
        let metadata = json!({
            "packages": [
                package("zenith", Value::Null), package("ours", Value::Null), package("b", json!("registry")),
                package("a", json!("registry")), package("build", json!("registry")), package("dev", json!("registry")),
            ],
            "resolve": { "nodes": [
                { "id": "zenith", "deps": deps(&[("ours", Value::Null), ("build", json!("build")), ("dev", json!("dev"))]) },
                { "id": "ours", "deps": deps(&[("b", Value::Null), ("a", Value::Null)]) },
                { "id": "a", "deps": deps(&[("b", Value::Null)]) },
                { "id": "b", "deps": deps(&[("a", Value::Null)]) },
            ] },
        });
        let names: Vec<&str> =
            dependencies(&metadata).iter().filter_map(|package| package["name"].as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
