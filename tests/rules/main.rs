//! Rules against scripts that promtool runs too.
//!
//! `*_test.yml` beside this file, and the tests of the shipped rules, are in promtool's unit-test
//! format. They run here by `bellwether test rules` and, with the feature `peers`, in promtool
//! itself, so that every expected alert, label, annotation and recorded sample is also what
//! Prometheus says. `PROMTOOL3` names a promtool of Prometheus 3, which is then asked too.

#![expect(clippy::unwrap_used, reason = "a script that can't be read is a failed test")]

mod bounds;
mod checks;
mod groups;
mod memory;
mod mistakes;
mod newer;
mod no_data;
mod output;
mod peer;
mod shipped;
mod verdicts;

use std::path::{Path, PathBuf};

use peer::Program;

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

fn run_all(program: &Program) {
    for script in scripts() {
        let ran = program.run(&["test", "rules"], &[&script]);
        assert!(ran.is_good, "{}: {}", program.name(), ran.text);
    }
}

#[test]
fn every_script_comes_out_as_promtool_has_it() {
    run_all(&Program::ours());
}

#[cfg(feature = "peers")]
#[test]
fn promtool_agrees_with_every_script() {
    for promtool in Program::promtools() {
        run_all(&promtool);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        for name in ["recording.yml", "alerts.yml", "rollback.yml"] {
            let ran = promtool.run(&["check", "rules"], &[&shipped.join(name)]);
            assert!(ran.is_good, "{}", ran.text);
        }
    }
}
