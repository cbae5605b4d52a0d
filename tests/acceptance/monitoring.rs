//! The rules for Prometheus: sound, tested each way, and with something to do for each.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::program::Ended;
use tokio::process::Command;

use crate::deployment::{shipped, yaml};

const RULES: &str = "deploy/prometheus/nightbell.rules.yml";
const TESTS: [&str; 2] = ["nightbell_test.yml", "nightbell_hours_test.yml"];

pub(crate) async fn promtool_finds_the_rules_and_the_scrape_configuration_right(_: String) -> Result<()> {
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "nightbell.rules.yml"],
        &["test", "rules", TESTS[0], TESTS[1]],
    ] {
        promtool(arguments).await?.success()?;
    }
    Ok(())
}

pub(crate) async fn every_rule_is_tested_each_way_and_has_a_place_in_the_runbook(_: String) -> Result<()> {
    let manual = std::fs::read_to_string(shipped("deploy/RUNBOOK.md"))?;
    let sections: BTreeSet<_> = manual.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let (mut fires, mut is_quiet) = (BTreeSet::new(), BTreeSet::new());
    for file in TESTS {
        let document = yaml(&format!("deploy/prometheus/{file}")).await?;
        let tests = document["tests"].as_array().context("no tests")?;
        for test in tests.iter().filter_map(|test| test["promql_expr_test"].as_array()).flatten() {
            let expr = test["expr"].as_str().context("no expression")?;
            let name = expr.split('"').nth(1).context("no alert's name")?.to_owned();
            let samples = test["exp_samples"].as_array().context("no samples")?;
            if samples.is_empty() {
                is_quiet.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    let document = yaml(RULES).await?;
    let rules = document["groups"][0]["rules"].as_array().context("no rules")?;
    for rule in rules {
        let name = rule["alert"].as_str().context("no name")?;
        ensure!(fires.contains(name) && is_quiet.contains(name), "{name} is not tested each way");
        ensure!(sections.contains(name), "deploy/RUNBOOK.md does not say what to do at {name}");
        let anchor = format!("deploy/RUNBOOK.md#{}", name.to_lowercase());
        ensure!(rule["annotations"]["runbook_url"] == *anchor, "{name} leads elsewhere");
        ensure!(rule["annotations"]["summary"].is_string() && rule["annotations"]["description"].is_string());
        ensure!(["critical", "warning"].map(Some).contains(&rule["labels"]["severity"].as_str()), "{name}");
    }
    ensure!(rules.len() == fires.len(), "a test of a rule that is not there");
    Ok(())
}

async fn promtool(arguments: &[&str]) -> Result<Ended> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(shipped("deploy/prometheus")).kill_on_drop(true);
    Ok(command.output().await.context("run promtool (Debian package prometheus)")?.into())
}
