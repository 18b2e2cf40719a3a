//! Alertmanager's own tool and we take the same `time_intervals`.

use std::process::Command;

use bellwether::config;

use crate::stage::Directory;

fn sections(rule: &str) -> String {
    format!(
        "route: {{receiver: a, routes: [{{mute_time_intervals: [x]}}]}}\n\
         receivers: [{{name: a}}]\n\
         time_intervals:\n- name: x\n  time_intervals:\n  - {rule}\n"
    )
}

fn amtool_takes(directory: &Directory, rule: &str) -> bool {
    let file = directory.write("alertmanager.yml", &sections(rule));
    let amtool = std::env::var("AMTOOL").unwrap_or_else(|_| "amtool".to_owned());
    let output = Command::new(amtool).arg("check-config").arg(file).output().unwrap();
    output.status.success()
}

fn we_take(rule: &str) -> bool {
    let text = format!("providers: []\nprobes: []\n{}", sections(rule));
    config::parse("bellwether.yml", &text).is_ok()
}

#[test]
fn amtool_and_we_take_the_same_time_intervals() {
    let directory = Directory::new();
    for (rule, expected) in [
        ("{times: [{start_time: '22:00', end_time: '24:00'}]}", true),
        ("{times: [{start_time: '17:00', end_time: '09:00'}]}", false),
        ("{times: [{start_time: '09:00', end_time: '09:00'}]}", false),
        ("{times: [{start_time: '9:00', end_time: '12:00'}]}", false),
        ("{times: [{start_time: '09:00', end_time: '24:01'}]}", false),
        ("{times: [{start_time: '09:60', end_time: '12:00'}]}", false),
        ("{times: [{start_time: '10:00'}]}", false),
        ("{weekdays: ['Monday:friday', saturday]}", true),
        ("{weekdays: [mondey]}", false),
        ("{weekdays: ['saturday:sunday']}", false),
        ("{weekdays: ['monday:']}", false),
        ("{weekdays: ['1:5']}", false),
        ("{days_of_month: ['-3:-1', '15', '15:-1']}", true),
        ("{days_of_month: ['0']}", false),
        ("{days_of_month: ['32']}", false),
        ("{days_of_month: ['-32']}", false),
        ("{days_of_month: ['-1:5']}", false),
        ("{days_of_month: ['5:1']}", false),
        ("{days_of_month: ['-1:-3']}", false),
        ("{days_of_month: ['28:-5']}", false),
        ("{days_of_month: ['first']}", false),
        ("{months: ['january:3', december, '1']}", true),
        ("{months: ['decembre']}", false),
        ("{months: ['12:1']}", false),
        ("{years: ['2026', '2027:2030']}", true),
        ("{years: ['2027:2026']}", false),
        ("{years: ['soon']}", false),
        ("{location: Europe/Berlin}", true),
        ("{location: UTC}", true),
        ("{location: europe/berlin}", false),
        ("{location: Europe/Berlim}", false),
        ("{weekday: [monday]}", false),
    ] {
        assert_eq!(amtool_takes(&directory, rule), expected, "amtool on {rule}");
        assert_eq!(we_take(rule), expected, "we on {rule}");
    }
    // What can never hold, or means something else on each machine, is taken there only.
    for rule in ["{months: ['13']}", "{years: ['0']}", "{location: Local}"] {
        assert!(amtool_takes(&directory, rule), "{rule}");
        assert!(!we_take(rule), "{rule}");
    }
}
