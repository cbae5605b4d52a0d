//! What `deploy/` ships for containers, Kubernetes and systemd, as far as it can be checked without an engine: against the
//! schemas, and with the program itself.

use std::path::{Path, PathBuf};

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::program::{self, Ended};
use serde_json::Value;
use tokio::process::Command;

/// Prints all documents of a YAML file as one JSON array.
const YAML: &str =
    "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// How exposed the unit may be by systemd's own count, in tenths: 0 is sealed, 100 is any other service.
const EXPOSURE_MAX: &str = "15";

pub(crate) async fn the_compose_file_and_the_manifests_fit_their_schemas(_: String) -> Result<()> {
    let compose = shipped("docker-compose.yml");
    let compose = compose.to_str().context("the folder's name is no text")?;
    tool("check-jsonschema", &["--builtin-schema", "vendor.compose-spec", compose]).await?.success()?;

    let kustomization = yaml("deploy/kubernetes/kustomization.yaml").await?;
    let mut listed: Vec<_> = kustomization["resources"].as_array().context("no resources")?.iter().collect();
    let example = Value::from("secret.example.yaml");
    listed.push(&example);
    for file in listed {
        let path = shipped("deploy/kubernetes").join(file.as_str().context("a file's name")?);
        // Of the Prometheus Operator's own kinds there is no schema at hand.
        if !path.ends_with("servicemonitor.yaml") {
            let path = path.to_str().context("the folder's name is no text")?;
            let said = tool("kubernetes-validate", &["--strict", path]).await?;
            ensure!(said.code == Some(0) && format!("{said:?}").contains("passed"), "{said:?}");
        }
    }
    let there = std::fs::read_dir(shipped("deploy/kubernetes"))?.count();
    let resources = kustomization["resources"].as_array().map_or(0, Vec::len);
    // The configuration, the example of a Secret, and kustomization.yaml itself.
    ensure!(there == resources + 3, "a file in deploy/kubernetes that kustomization.yaml does not list");
    Ok(())
}

pub(crate) async fn what_a_network_policy_offers_as_a_comment_is_valid_too(_: String) -> Result<()> {
    let text = std::fs::read_to_string(shipped("deploy/kubernetes/networkpolicy.yaml"))?;
    let offered = |line: &str| match line.trim_start().strip_prefix("# ") {
        Some(rule) if line.starts_with(' ') => {
            let indent = line.len() - line.trim_start().len();
            format!("{:indent$}{rule}\n", "")
        }
        _ => format!("{line}\n"),
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("networkpolicy.yaml");
    std::fs::write(&path, text.lines().map(offered).collect::<String>())?;
    let said = tool("kubernetes-validate", &["--strict", path.to_str().context("no text")?]).await?;
    ensure!(said.code == Some(0) && format!("{said:?}").contains("passed"), "{said:?}");
    let policy = &yamls(&path).await?[0]["spec"]["egress"];
    let open: Vec<_> = policy.as_array().context("no rules")?.iter().flat_map(ports).collect();
    // Names, RabbitMQ and its management, xMatters, a proxy, a collector of traces.
    for port in [53, 5671, 15671, 443, 3128, 4318] {
        ensure!(open.contains(&port), "{port} of {open:?}");
    }
    ensure!(policy.to_string().contains("::/0"), "no xMatters over IPv6");
    Ok(())
}

pub(crate) async fn a_changed_configuration_restarts_the_pods_and_no_drain_waits_for_them(
    _: String,
) -> Result<()> {
    let kustomization = yaml("deploy/kubernetes/kustomization.yaml").await?;
    let made = &kustomization["configMapGenerator"][0];
    let stateful = yaml("deploy/kubernetes/statefulset.yaml").await?;
    let mounted = &stateful["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"];
    ensure!(made["name"] == *mounted && made["files"][0] == "nightbell.toml", "{made} {mounted}");
    let options = [&made["options"], &kustomization["generatorOptions"]];
    ensure!(options.iter().all(|options| options.is_null()), "its name has to end in a hash: {options:?}");
    let budget = yaml("deploy/kubernetes/poddisruptionbudget.yaml").await?;
    ensure!(budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", "{budget}");
    let monitor = yaml("deploy/kubernetes/servicemonitor.yaml").await?;
    ensure!(monitor["metadata"]["labels"]["release"].is_string(), "{monitor}");
    Ok(())
}

pub(crate) async fn every_service_rotates_its_log_and_has_a_bound_on_memory(_: String) -> Result<()> {
    let compose = yaml("docker-compose.yml").await?;
    for (name, service) in services(&compose)? {
        let options = &service["logging"]["options"];
        ensure!(options["max-size"].is_string() && options["max-file"].is_string(), "{name}: {service}");
        ensure!(name == "files" || service["mem_limit"].is_string(), "{name}: {service}");
    }
    let settings = std::fs::read_to_string(shipped("deploy/rabbitmq/rabbitmq.conf"))?;
    let mark = settings.lines().find_map(|line| line.strip_prefix("vm_memory_high_watermark.absolute = "));
    let mark: u64 = mark.and_then(|mark| mark.strip_suffix("MB")?.parse().ok()).context("no mark in MB")?;
    ensure!(compose["services"]["rabbitmq"]["mem_limit"] == "1g" && mark < 800, "{mark} MB of 1g");
    Ok(())
}

pub(crate) async fn folders_are_mounted_and_looked_at_before_the_start(_: String) -> Result<()> {
    let compose = yaml("docker-compose.yml").await?;
    let sources = |service: &Value| -> Result<Vec<String>> {
        let mounts = service["volumes"].as_array().into_iter().flatten();
        let mounts = mounts.map(|mount| mount.as_str().context("a mount that is no text"));
        let sources = mounts.map(|mount| Ok(mount?.split(':').next().unwrap_or_default().to_owned()));
        let sources: Result<Vec<_>> = sources.collect();
        Ok(sources?.into_iter().filter(|source| source.starts_with('.')).collect())
    };
    let services = services(&compose)?;
    let looked_at = sources(&services["files"])?;
    for (name, service) in services.iter().filter(|(name, _)| *name != "files") {
        for source in sources(service)? {
            ensure!(shipped(&source).is_dir(), "{name}: an editor's new file is not seen through {source}");
            let seen = looked_at.iter().any(|folder| Path::new(&source).starts_with(folder));
            ensure!(seen, "{name}: nobody looks whether {source} can be read");
        }
        let waits = &service["depends_on"];
        let waits = waits["files"]["condition"] == "service_completed_successfully"
            || waits["rabbitmq"]["condition"] == "service_healthy";
        ensure!(waits || sources(service)?.is_empty(), "{name} starts before that: {service}");
    }
    let secret = compose["secrets"]["grafana"]["file"].as_str().context("Grafana's secret")?;
    ensure!(looked_at.iter().any(|source| source == secret), "nobody looks at {secret}: {looked_at:?}");
    Ok(())
}

pub(crate) async fn a_second_worker_is_ready_and_an_old_compose_is_told_what_it_lacks(
    _: String,
) -> Result<()> {
    let compose = yaml("docker-compose.yml").await?;
    let services = services(&compose)?;
    let (first, second) = (&services["worker"], &services["worker-2"]);
    ensure!(second["profiles"][0] == "standby", "{second}");
    for own in ["ports", "volumes"] {
        ensure!(first[own][0] != second[own][0], "two workers can't share {}", first[own][0]);
    }
    ensure!(
        first["volumes"].as_array().map(|all| &all[1..]) == second["volumes"].as_array().map(|all| &all[1..])
    );
    let needs = services.values().all(|service| {
        let label = service["labels"]["nightbell.project"].as_str();
        label.is_some_and(|label| {
            label.starts_with("${COMPOSE_PROJECT_NAME:?this file needs Docker Compose 2")
        })
    });
    ensure!(needs, "docker-compose 1.29 fails without a word on what is needed");
    Ok(())
}

pub(crate) async fn the_build_sees_what_cargo_compiles_and_no_secret(_: String) -> Result<()> {
    let text = std::fs::read_to_string(shipped(".dockerignore"))?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    ensure!(lines.next() == Some("*"), "all is left out but what is named: {text}");
    let (named, out): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('!'));
    let is_in = |file: &str| {
        let below = |folder: &str| Path::new(file).starts_with(folder.trim_start_matches('!'));
        named.iter().any(|line| below(line)) && !out.iter().any(|line| below(line))
    };
    let listed = system("git", &["-C", shipped("").to_str().context("no text")?, "ls-files"]).await?;
    let files = listed.success()?;
    let (mut compiled, mut secrets) = (0, 0);
    for file in files.lines() {
        let source = file.ends_with(".rs") || file.ends_with("Cargo.toml") || file == "Cargo.lock";
        if source && !file.starts_with("tests/fuzz/") && !file.starts_with("tests/data/") {
            ensure!(is_in(file), "cargo needs {file}");
            compiled += 1;
        }
        if file.contains("secret") && !source {
            ensure!(!is_in(file), "{file} goes into the build");
            secrets += 1;
        }
    }
    ensure!(compiled > 100 && secrets > 5, "{compiled} {secrets}");
    ensure!(![".env", "nightbell.toml", "deploy/compose/mine", "id_rsa"].into_iter().any(is_in), "{text}");
    Ok(())
}

pub(crate) async fn every_configuration_that_is_shipped_is_valid(_: String) -> Result<()> {
    let secret = yaml("deploy/kubernetes/secret.example.yaml").await?;
    let values = secret["stringData"].as_object().context("no values")?;
    let config = std::fs::read_to_string(shipped("deploy/kubernetes/nightbell.toml"))?;
    let unit = std::fs::read_to_string(shipped("deploy/systemd/nightbell.toml"))?;
    let credentials = "/run/credentials/nightbell.service/secrets_";
    for (config, place) in [(config, "/run/secrets/nightbell/"), (unit, credentials)] {
        let folder = tempfile::tempdir()?;
        for (name, value) in values {
            std::fs::write(folder.path().join(name), value.as_str().context("a text")?)?;
        }
        ensure!(config.contains(place), "{config}");
        let config = config.replace(place, &format!("{}/", folder.path().display()));
        std::fs::write(folder.path().join("nightbell.toml"), config)?;
        program::run("nightbell", folder.path(), &["check"], b"").await?.success()?;
    }
    Ok(())
}

pub(crate) async fn the_definitions_are_what_the_topology_command_prints(_: String) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = std::fs::read_to_string(shipped("deploy/compose/nightbell/nightbell.toml"))?;
    let secrets = format!("{}/", shipped("deploy/compose/secrets/worker").display());
    std::fs::write(folder.path().join("nightbell.toml"), config.replace("/run/secrets/", &secrets))?;
    let printed = program::run("nightbell", folder.path(), &["topology"], b"").await?.success()?;
    let printed: Value = serde_json::from_str(&printed)?;
    let known: Value = serde_json::from_slice(&std::fs::read(shipped("deploy/rabbitmq/definitions.json"))?)?;
    for (part, wanted) in printed.as_object().context("no object")? {
        ensure!(known[part] == *wanted, "{part} of deploy/rabbitmq/definitions.json is another");
    }
    Ok(())
}

pub(crate) async fn the_unit_is_sound_and_hardened(_: String) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unit = std::fs::read_to_string(shipped("deploy/systemd/nightbell.service"))?;
    // A wrong configuration is not tried for ever, a reload needs no procps, and a crash leaves no memory with secrets.
    for line in ["RestartPreventExitStatus=78", "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'", "LimitCORE=0"] {
        ensure!(unit.lines().any(|own| own == line), "{line} is missing");
    }
    let installed = "ExecStart=/usr/bin/nightbell ";
    ensure!(unit.contains(installed), "{unit}");
    let built = format!("ExecStart={} ", program::path("nightbell")?.display());
    let path = folder.path().join("nightbell.service");
    std::fs::write(&path, unit.replace(installed, &built))?;
    let path = path.to_str().context("the folder's name is no text")?;
    let verified = system("systemd-analyze", &["verify", "--man=no", path]).await?;
    ensure!(verified.code == Some(0) && verified.stderr.is_empty(), "{verified:?}");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    system("systemd-analyze", &["security", "--offline=true", &threshold, path]).await?.success()?;
    std::fs::create_dir(folder.path().join("etc"))?;
    let root = format!("--root={}", folder.path().display());
    for (program, mode, file) in
        [("systemd-sysusers", None, "sysusers"), ("systemd-tmpfiles", Some("--create"), "tmpfiles")]
    {
        let file = shipped(&format!("deploy/systemd/nightbell.{file}.conf"));
        let arguments = [Some(root.as_str()), mode, file.to_str()];
        system(program, &arguments.into_iter().flatten().collect::<Vec<_>>()).await?.success()?;
    }
    ensure!(std::fs::read_to_string(folder.path().join("etc/passwd"))?.starts_with("nightbell:"));
    ensure!(folder.path().join("etc/nightbell/secrets").is_dir());
    Ok(())
}

pub(crate) async fn the_program_needs_no_library_that_its_image_lacks(_: String) -> Result<()> {
    // What gcr.io/distroless/cc has, and the kernel's own.
    let image =
        ["linux-vdso.so", "ld-linux", "libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so"];
    for name in ["nightbell", "fake-xmatters"] {
        let program = program::path(name)?;
        let listed = system("ldd", &[program.to_str().context("no text")?]).await?.success()?;
        for line in listed.lines() {
            ensure!(image.iter().any(|library| line.contains(library)), "{name}: {line}");
        }
    }
    Ok(())
}

/// The compose file's services by name.
fn services(compose: &Value) -> Result<&serde_json::Map<String, Value>> {
    compose["services"].as_object().context("no services")
}

/// The ports that a rule of a NetworkPolicy opens.
fn ports(rule: &Value) -> Vec<u64> {
    let ports = rule["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| port["port"].as_u64()).collect()
}

/// A file of this repository.
pub(crate) fn shipped(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root).join(file)
}

/// A YAML file's one document.
pub(crate) async fn yaml(file: &str) -> Result<Value> {
    let mut documents = yamls(&shipped(file)).await?;
    ensure!(documents.len() == 1, "{file} has {} documents", documents.len());
    Ok(documents.remove(0))
}

async fn yamls(file: &Path) -> Result<Vec<Value>> {
    let printed = tool("python", &["-c", YAML, file.to_str().context("no text")?]).await?.success()?;
    Ok(serde_json::from_str(&printed)?)
}

/// Runs a program that `tests/run` installed.
async fn tool(name: &str, arguments: &[&str]) -> Result<Ended> {
    let program = shipped("target/tools/python/bin").join(name);
    system(program.to_str().context("the folder's name is no text")?, arguments).await
}

/// Runs a program to its end.
async fn system(program: &str, arguments: &[&str]) -> Result<Ended> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("run {program}; tests/run installs it"))?;
    Ok(output.into())
}
