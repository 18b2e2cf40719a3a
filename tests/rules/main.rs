//! Rules against scripts that promtool runs too.
//!
//! `*_test.yml` beside this file, and the tests of the shipped rules, are in promtool's unit-test
//! format. They run here against our groups and, with the feature `peers`, in promtool itself, so
//! that every expected alert, label, annotation and recorded sample is also what Prometheus says.

#![expect(clippy::unwrap_used, reason = "a script that can't be read is a failed test")]

mod bounds;
mod groups;
mod memory;
mod mistakes;
mod script;
mod shipped;

use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut scripts = vec![root.join("rules/tests/bellwether_test.yml")];
    let own =
        ["tests/rules", "tests/slo"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let own = own.into_iter().flatten();
    let own = own.map(|entry| entry.unwrap().path());
    scripts.extend(own.filter(|path| path.to_string_lossy().ends_with("_test.yml")));
    scripts.sort();
    scripts
}

#[test]
fn every_script_comes_out_as_promtool_has_it() {
    let failures: Vec<String> = scripts().iter().flat_map(|path| script::run(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[cfg(feature = "peers")]
#[test]
fn promtool_agrees_with_every_script() {
    let run = |arguments: Vec<std::ffi::OsString>| {
        let output = std::process::Command::new("promtool")
            .args(arguments)
            .output()
            .expect("promtool is installed where the feature `peers` is on");
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    };
    for script in scripts() {
        run(vec!["test".into(), "rules".into(), script.into()]);
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    for name in ["recording.yml", "alerts.yml", "rollback.yml"] {
        run(vec!["check".into(), "rules".into(), shipped.join(name).into()]);
    }
}
