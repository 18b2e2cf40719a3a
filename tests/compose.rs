//! `docker-compose.yml` and what it mounts, as far as no container engine is needed: services are
//! confined, and the files agree with each other and with bellwether itself.
//!
//! Each file is read as its own program reads it where that program is ours. The others' are checked
//! by `promtool check config` and `amtool check-config` with the feature `peers`.

#![expect(clippy::unwrap_used, reason = "a file that can't be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A YAML file with its anchors and merges resolved.
fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap();
    merged(serde_yaml::from_str(&text).unwrap())
}

/// Resolves `<<`, inside of what is merged too.
fn merged(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, merged(value)));
            let mut fields: Map<String, Value> = fields.collect();
            if let Some(Value::Object(inherited)) = fields.remove("<<") {
                for (name, value) in inherited {
                    fields.entry(name).or_insert(value);
                }
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.into_iter().map(merged).collect(),
        other => other,
    }
}

fn compose() -> Value {
    yaml("docker-compose.yml")
}

fn services(compose: &Value) -> Vec<(&str, &Value)> {
    compose["services"].as_object().unwrap().iter().map(|(name, it)| (name.as_str(), it)).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `source:target:options` of each mount.
fn mounts(service: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let parts = strings(&service["volumes"]).into_iter().map(|mount| {
        let mut parts = mount.splitn(3, ':');
        (parts.next().unwrap(), parts.next().unwrap(), parts.next())
    });
    parts.collect()
}

/// Everything about a service that is not as it should be.
fn complaints(service: &Value, volumes: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut demand = |holds: bool, fault: &str| {
        if !holds {
            found.push(fault.to_owned());
        }
    };
    demand(service["read_only"] == true, "its root file system can be written");
    demand(service["cap_drop"] == json!(["ALL"]), "it keeps capabilities");
    demand(service.get("cap_add").is_none(), "it adds capabilities");
    demand(service.get("privileged").is_none(), "it is privileged");
    demand(
        strings(&service["security_opt"]).contains(&"no-new-privileges:true"),
        "it may gain privileges",
    );
    let user = service["user"].as_str().unwrap_or_default();
    demand(!user.is_empty() && !user.starts_with('0'), "it runs as root");
    demand(service["mem_limit"].is_string(), "its memory has no bound");
    demand(service["pids_limit"].is_u64(), "its processes have no bound");
    demand(service["logging"]["options"]["max-size"].is_string(), "its log has no bound");
    demand(strings(&service["healthcheck"]["test"]).len() > 1, "nobody asks how it is");
    let (_, tag) = service["image"].as_str().and_then(|it| it.rsplit_once(':')).unwrap_or_default();
    demand(!tag.is_empty() && tag != "latest", "its image is not pinned");
    for port in strings(&service["ports"]) {
        demand(port.starts_with("127.0.0.1:"), &format!("`{port}` is open to the network"));
    }
    for (source, _, options) in mounts(service) {
        if source.starts_with('.') {
            demand(root().join(source).exists(), &format!("`{source}` does not exist"));
            demand(options == Some("ro"), &format!("`{source}` can be written"));
        } else {
            demand(
                volumes.get(source).is_some(),
                &format!("the volume `{source}` is not declared"),
            );
        }
    }
    found
}

#[test]
fn every_service_is_confined() {
    let compose = compose();
    for (name, service) in services(&compose) {
        let found = complaints(service, &compose["volumes"]);
        assert!(found.is_empty(), "{name}:\n{}", found.join("\n"));
    }
}

#[test]
fn a_service_that_is_not_confined_is_found() {
    let compose = compose();
    for (field, value, expected) in [
        ("read_only", json!(false), "can be written"),
        ("cap_drop", json!([]), "keeps capabilities"),
        ("cap_add", json!(["NET_ADMIN"]), "adds capabilities"),
        ("privileged", json!(true), "is privileged"),
        ("security_opt", json!([]), "may gain privileges"),
        ("user", Value::Null, "runs as root"),
        ("user", json!("0:0"), "runs as root"),
        ("healthcheck", json!({}), "nobody asks"),
        ("image", json!("prom/prometheus"), "not pinned"),
        ("image", json!("prom/prometheus:latest"), "not pinned"),
        ("ports", json!(["9090:9090"]), "open to the network"),
        ("volumes", json!(["./deploy/nothing.yml:/a:ro"]), "does not exist"),
        ("volumes", json!(["./deploy/prometheus.yml:/a"]), "can be written"),
        ("volumes", json!(["elsewhere:/a"]), "is not declared"),
    ] {
        let mut service = compose["services"]["prometheus"].clone();
        service[field] = value;
        let found = complaints(&service, &compose["volumes"]).join("\n");
        assert!(found.contains(expected), "{field}: {found}");
    }
}

/// Where a service finds a file that is mounted into it.
fn mounted<'a>(service: &'a Value, path: &str) -> Option<(&'a str, PathBuf)> {
    mounts(service).into_iter().find_map(|(source, target, _)| {
        let rest = Path::new(path).strip_prefix(target).ok()?;
        Some((
            source,
            if rest.as_os_str().is_empty() { source.into() } else { Path::new(source).join(rest) },
        ))
    })
}

#[test]
fn every_file_that_a_command_names_is_mounted() {
    let compose = compose();
    let mut named = 0;
    for (name, service) in services(&compose) {
        for argument in strings(&service["command"]) {
            let Some((flag, path)) = argument.split_once('=') else { continue };
            if flag.ends_with(".file") {
                let (_, source) = mounted(service, path)
                    .unwrap_or_else(|| panic!("{name}: nothing is mounted at `{path}`"));
                assert!(root().join(&source).is_file(), "{name}: {} is no file", source.display());
                named += 1;
            } else if flag.ends_with(".path") {
                let volume = mounted(service, path).map(|(source, _)| source);
                assert!(volume.is_some_and(|it| !it.starts_with('.')), "{name}: `{path}` is lost");
            }
        }
    }
    assert_eq!(named, 5);
}

#[test]
fn bellwether_and_its_simulators_accept_what_they_are_given() {
    let directory = root().join("deploy");
    let file = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let config = bellwether::config::parse("bellwether.yml", &file("bellwether.yml"));
    let config = config.unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_eq!(config.targets.len(), 2);
    for entry in fs::read_dir(directory.join("simulators")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let script = bellwether::simulator::parse_script(&name, &fs::read_to_string(path).unwrap());
        let script = script.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut targets = config.targets.iter();
        let is_asked =
            targets.any(|target| script.knows(target.provider.upstream_model(&target.model)));
        assert!(is_asked, "{name}: nobody asks for its models");
    }
}

/// The addresses by which services are reached, each from the flag or image that opens it.
fn addresses(compose: &Value) -> BTreeSet<String> {
    let listening = |name: &str, service: &Value| {
        let commands = strings(&service["command"]);
        let flag = commands.iter().find_map(|it| it.strip_prefix("--web.listen-address=0.0.0.0:"));
        let image = service["image"].as_str().unwrap_or_default();
        let port = flag.map(str::to_owned).unwrap_or_else(|| {
            let ports =
                [("prom/prometheus:", 9090), ("prom/alertmanager:", 9093), ("grafana/", 3000)];
            let known = ports.iter().find(|(prefix, _)| image.starts_with(prefix));
            known.map(|(_, port)| port.to_string()).unwrap_or_default()
        });
        format!("{name}:{port}")
    };
    services(compose).into_iter().map(|(name, service)| listening(name, service)).collect()
}

#[test]
fn services_call_each_other_by_addresses_that_exist() {
    let compose = compose();
    let addresses = addresses(&compose);
    let (bellwether, prometheus) = (yaml("deploy/bellwether.yml"), yaml("deploy/prometheus.yml"));
    let targets = |list: &Value| -> Vec<String> {
        let entries = list.as_array().into_iter().flatten();
        let configs = entries.flat_map(|it| it["static_configs"].as_array().into_iter().flatten());
        configs.flat_map(|it| strings(&it["targets"])).map(str::to_owned).collect()
    };
    let mut called = targets(&prometheus["scrape_configs"]);
    called.retain(|target| target != "127.0.0.1:9090");
    assert_eq!(called, ["bellwether:9779"]);
    for alertmanagers in [&prometheus["alerting"]["alertmanagers"], &bellwether["alertmanagers"]] {
        let found = targets(alertmanagers);
        assert!(!found.is_empty());
        called.extend(found);
    }
    let bare = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let providers = bellwether["providers"].as_array().unwrap();
    called.extend(providers.iter().map(|it| bare(it["base_url"].as_str().unwrap())));
    let source = &yaml("deploy/grafana/datasources/prometheus.yml")["datasources"][0];
    called.push(bare(source["url"].as_str().unwrap()));
    for address in &called {
        assert!(addresses.contains(address), "{address} is none of {addresses:?}");
    }
    for (name, service) in services(&compose) {
        let (_, port) =
            addresses.iter().find_map(|it| it.split_once(':').filter(|it| it.0 == name)).unwrap();
        for published in strings(&service["ports"]) {
            assert_eq!(published, format!("127.0.0.1:{port}:{port}"), "{name}");
        }
        let asked = strings(&service["healthcheck"]["test"]).last().copied().unwrap_or_default();
        assert!(asked.starts_with(&format!("http://127.0.0.1:{port}")), "{name}: {asked}");
    }
}

#[test]
fn grafana_is_told_where_things_are_and_how_often_they_come() {
    let compose = compose();
    let grafana = &compose["services"]["grafana"];
    let source = &yaml("deploy/grafana/datasources/prometheus.yml")["datasources"][0];
    let prometheus = yaml("deploy/prometheus.yml");
    // Where they differ, $__rate_interval is too short and panels stay blank.
    assert_eq!(source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);
    assert_eq!(source["uid"], "prometheus");
    let provider = &yaml("deploy/grafana/dashboards/bellwether.yml")["providers"][0];
    let folder = provider["options"]["path"].as_str().unwrap();
    assert_eq!(mounted(grafana, folder).unwrap().0, "./dashboards");
    assert_eq!(mounted(grafana, "/etc/grafana/provisioning").unwrap().0, "./deploy/grafana");
    let home =
        grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    assert!(root().join(mounted(grafana, home).unwrap().1).is_file(), "{home}");
}

#[test]
fn both_evaluate_every_rule_file_and_see_one_alert_as_one() {
    let (bellwether, prometheus) = (yaml("deploy/bellwether.yml"), yaml("deploy/prometheus.yml"));
    assert_eq!(bellwether["rule_files"], prometheus["rule_files"]);
    let named: BTreeSet<&str> = strings(&prometheus["rule_files"]).into_iter().collect();
    let files = fs::read_dir(root().join("rules")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let shipped: BTreeSet<String> = files
        .map(|path| format!("../rules/{}", path.file_name().unwrap().to_string_lossy()))
        .filter(|path| !path.ends_with("_test.yml"))
        .collect();
    assert_eq!(named, shipped.iter().map(String::as_str).collect());
    // The mounts keep the files where they stand to each other in the repository.
    let compose = compose();
    for (service, config) in [("bellwether", "bellwether.yml"), ("prometheus", "prometheus.yml")] {
        let service = &compose["services"][service];
        let mounts = mounts(service);
        let target = |source: &str| {
            let found = mounts.iter().find(|mount| mount.0 == source);
            Path::new(found.unwrap_or_else(|| panic!("{source} is not mounted")).1).to_owned()
        };
        let deploy = target(&format!("./deploy/{config}"));
        let above = deploy.parent().and_then(Path::parent).unwrap().to_owned();
        assert_eq!(target("./rules"), above.join("rules"));
    }
    // An alert's labels say which instance it is about, and Alertmanager goes by labels alone.
    let scraped = &prometheus["scrape_configs"][0];
    assert_eq!(bellwether["global"]["instance"], scraped["static_configs"][0]["targets"][0]);
    assert_eq!(scraped["job_name"], "bellwether");
    assert_eq!(
        bellwether["global"]["evaluation_interval"],
        prometheus["global"]["evaluation_interval"]
    );
}

#[test]
fn the_configuration_and_its_rules_pass_their_check_in_place() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["check", "config", "deploy/bellwether.yml"])
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn our_own_commands_take_the_flags_they_are_given() {
    let compose = compose();
    let ours = services(&compose).into_iter().filter(|(_, it)| it["image"] == "bellwether:local");
    let mut tried = 0;
    for (name, service) in ours {
        let health = &strings(&service["healthcheck"]["test"])[2..];
        for arguments in [strings(&service["command"]), health.to_vec()] {
            // `--help` comes last, so that all before it is read first and refused where unknown.
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_bellwether"))
                .args(&arguments)
                .arg("--help")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} {arguments:?}: {said}");
            tried += 1;
        }
    }
    assert_eq!(tried, 6);
}

#[cfg(feature = "peers")]
#[test]
fn their_own_programs_accept_the_files_of_prometheus_and_alertmanager() {
    for (program, command, file) in [
        ("promtool", ["check", "config"].as_slice(), "deploy/prometheus.yml"),
        ("amtool", &["check-config"], "deploy/alertmanager.yml"),
    ] {
        let output = std::process::Command::new(program)
            .args(command)
            .arg(file)
            .current_dir(root())
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }
}
