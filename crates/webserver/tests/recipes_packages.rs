//! Repositories of packages and of sources, as `docs/recipes/` says: apt, pip and git use the server.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{Program, Recipe, installed, requests};

/// The status and path of each request, and how many connections there were.
fn served(program: Program) -> (Vec<(u64, String)>, usize) {
    let messages = program.finish();
    let served = requests(&messages)
        .iter()
        .map(|request| (request["status"].as_u64().unwrap(), request["path"].as_str().unwrap().to_owned()))
        .collect();
    let last: Value = serde_json::from_str(messages.lines().last().unwrap()).unwrap();
    let connections = last["message"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
    (served, connections)
}

/// Makes a package with `size` bytes that cannot be compressed, an hour old, at this path.
fn make_package(recipe: &Recipe, name: &str, version: &str, path: &str, size: usize) {
    let control =
        format!("Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a@b.example\nDescription: a\n");
    let root = format!("made/{name}");
    recipe.write(&format!("{root}/DEBIAN/control"), control);
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    recipe.write(&format!("{root}/usr/share/{name}"), noise.take(size).collect::<Vec<_>>());
    let output = Command::new("dpkg-deb").args(["--build", &recipe.path(&root), &recipe.path(path)]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(recipe.path(path)).unwrap().set_modified(hour_ago).unwrap();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn apt_updates_installs_and_resumes() {
    if !installed(&["apt-get", "apt-ftparchive", "dpkg-deb", "gpg"], &[]) {
        return;
    }
    let recipe = Recipe::read("apt", "recipes_packages.rs::apt_updates_installs_and_resumes");
    // Everything that apt reads and writes is in the directory, and no package counts as installed.
    let settings = ["Dir \"DIR\";", "APT::Sandbox::User \"root\";", "APT::Architecture \"amd64\";"];
    let settings = settings.join("\n").replace("DIR", &recipe.path(""));
    for directory in ["etc/apt/sources.list.d", "etc/apt/preferences.d", "var/cache/apt/archives/partial", "srv/apt"] {
        fs::create_dir_all(recipe.path(directory)).unwrap();
    }
    recipe.write("etc/apt/apt.conf", settings);
    recipe.write("var/lib/dpkg/status", "");
    let packages = [
        ("hello", "1.0", "hello_1.0_all.deb", 1000),
        ("plus++", "1.0+dfsg~rc1-1", "plus++_1.0+dfsg~rc1-1_all.deb", 1000),
        ("epoch", "2:1.0~beta+1", "epoch_2:1.0~beta+1_all.deb", 1000),
        ("quoted", "2:1.0", "quoted_2%3a1.0_all.deb", 1000),
        ("large", "1.0", "large_1.0_all.deb", 300_000),
    ];
    for (name, version, file, size) in packages {
        make_package(&recipe, name, version, &format!("srv/apt/{file}"), size);
    }
    let program = recipe.serve();
    recipe.run(recipe.block("gpg --export"), &program);
    recipe.run(recipe.block("apt-ftparchive"), &program);
    recipe.run("gpgconf --kill all", &program); // the agent, which would go on
    // A file of this second has no Last-Modified that a client could rely on.
    recipe.run("touch -d '1 hour ago' /srv/apt/InRelease", &program);
    let client = recipe.block("apt-get update");
    recipe.run(client, &program);
    let all = packages.map(|(name, ..)| name).join(" ");
    let download = format!("apt-get install --download-only -y -o Acquire::http::Pipeline-Depth=10 {all}");
    // What an interrupted download leaves. apt tells the server its time.
    let whole = fs::read(recipe.path("srv/apt/large_1.0_all.deb")).unwrap();
    let partial = "var/cache/apt/archives/partial/large_1.0_all.deb";
    recipe.write(partial, &whole[..100_000]);
    let modified = fs::metadata(recipe.path("srv/apt/large_1.0_all.deb")).unwrap().modified().unwrap();
    File::options().write(true).open(recipe.path(partial)).unwrap().set_modified(modified).unwrap();
    recipe.run(&download, &program);
    for (name, version, file, _) in packages {
        let saved = format!("{name}_{}_all.deb", version.replace(':', "%3a"));
        let saved = fs::read(recipe.path(&format!("var/cache/apt/archives/{saved}"))).unwrap();
        assert!(saved == fs::read(recipe.path(&format!("srv/apt/{file}"))).unwrap(), "{file}");
    }
    assert!(recipe.run("apt-get update", &program).contains("Hit:1"), "the index has not changed");
    // Between the two renames the index does not fit, and apt keeps the old one.
    recipe.run(
        &format!("cp /srv/apt/hello_1.0_all.deb /srv/apt/other.deb\n{}", recipe.block("apt-ftparchive")),
        &program,
    );
    recipe.run("gpgconf --kill all; echo >> /srv/apt/Packages", &program);
    let output = recipe.try_run("apt-get update", &program);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("size"), "{output:?}");
    recipe.run("apt-get download hello", &program);
    let (served, connections) = served(program);
    let count = |status, part: &str| served.iter().filter(|(s, path)| *s == status && path.contains(part)).count();
    assert_eq!((count(206, "large"), count(200, "large")), (1, 0), "{served:?}");
    assert!(count(304, "InRelease") == 1, "{served:?}");
    // Three updates and three downloads, each over one connection. `hello` was there the second time.
    assert_eq!((count(200, ".deb"), connections), (5, 6), "{served:?}");
}

/// A wheel with one module, by the standard library of Python.
const WHEEL: &str = r#"
import sys, zipfile
version = sys.argv[1]
with zipfile.ZipFile(f"hello-{version}-py3-none-any.whl", "w") as wheel:
    info = f"hello-{version}.dist-info"
    wheel.writestr("hello.py", f"version = '{version}'\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: hello\nVersion: {version}\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "")
"#;

#[test]
#[ignore = "beside real software: scripts/interop"]
fn pip_downloads_from_listings_and_verifies_hashes() {
    if !installed(&["python3"], &["pip"]) {
        return;
    }
    let recipe = Recipe::read("pip", "recipes_packages.rs::pip_downloads_from_listings_and_verifies_hashes");
    let make = |version: &str| {
        let mut python = Command::new("/usr/bin/python3");
        let output = python.args(["-c", WHEEL, version]).current_dir(recipe.path("")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    make("1.0");
    make("1.0+local");
    fs::create_dir_all(recipe.path("srv/pip")).unwrap();
    let program = recipe.serve();
    recipe.run(recipe.block("cp hello-"), &program);
    // Debian's, whatever else is installed.
    let download = format!("rm -f ./*.whl\n/usr/bin/python3 -m {} --no-cache-dir", recipe.block("pip download"));
    let is_saved = |version: &str| {
        let name = format!("hello-{version}-py3-none-any.whl");
        let saved = fs::read(recipe.path(&name)).unwrap_or_default();
        saved == fs::read(recipe.path(&format!("srv/pip/simple/hello/{name}"))).unwrap()
    };
    recipe.run(&download, &program);
    assert!(is_saved("1.0+local"), "the newest version");
    recipe.run(&format!("{download} hello===1.0"), &program);
    assert!(is_saved("1.0"));

    recipe.run(recipe.block("sha256="), &program);
    recipe.run(&download, &program);
    assert!(is_saved("1.0+local"));
    make("1.0"); // a wheel that is not what the page says
    let other = fs::read(recipe.path("hello-1.0-py3-none-any.whl")).unwrap();
    recipe.write("srv/pip/simple/hello/hello-1.0+local-py3-none-any.whl", other);
    let output = recipe.try_run(&download, &program);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("HASH"), "{output:?}");
    program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn git_clones_and_fetches() {
    if !installed(&["git"], &[]) {
        return;
    }
    let recipe = Recipe::read("git", "recipes_packages.rs::git_clones_and_fetches");
    fs::create_dir_all(recipe.path("srv/git")).unwrap();
    let program = recipe.serve();
    let commit = |text: &str| {
        let commands = "git add . && git -c user.name=a -c user.email=a@b.example commit -q -m change";
        format!("cd project && echo {text} > file && {commands}\n")
    };
    recipe.run(&format!("git init -q project\n{}", commit("first")), &program);
    recipe.run(recipe.block("update-server-info"), &program);
    let clone = recipe.block("http://");
    let clone_into = |directory: &str| format!("export GIT_SMART_HTTP=0\n{clone} {directory}\n");
    recipe.run(&clone_into("clone"), &program);
    assert_eq!(fs::read(recipe.path("clone/file")).unwrap(), b"first\n");

    recipe.run(&format!("{}git push -q /srv/git/project.git HEAD", commit("second")), &program);
    recipe.run("cd clone && GIT_SMART_HTTP=0 git pull -q --ff-only", &program);
    assert_eq!(fs::read(recipe.path("clone/file")).unwrap(), b"second\n");
    // As anybody does it: git finds out by itself that the server knows nothing of git.
    recipe.run("cd /srv/git/project.git && git gc -q && git update-server-info", &program);
    recipe.run(&format!("{clone} again"), &program);
    assert_eq!(fs::read(recipe.path("again/file")).unwrap(), b"second\n");
    program.finish();
}
