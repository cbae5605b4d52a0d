//! The recipes of `deploy/ci`: the script of each is taken out and run as its CI would run it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use lapin::options::BasicGetOptions;
use lapin::types::FieldTable;
use nightbell_tests::program::{self, Ended};
use nightbell_tests::site::Site;
use nightbell_tests::wait;
use serde_json::Value;
use tokio::process::Command;

use crate::examples::bound_queue;

const REPORT: &str = r#"<testsuite name="shop" tests="3">
  <testcase classname="cart" name="pays"><failure message="HTTP 500">at line 7</failure></testcase>
  <testcase classname="cart" name="refunds"><error message="no database"/></testcase>
  <testcase classname="cart" name="adds"/>
</testsuite>"#;

/// What a job gives a recipe. A name that a shell would take apart, and a glob that it would spell out.
const PROJECT: &str = "the $(touch taken) `shop`";
const JUNIT: &str = "reports/*.xml";
const ENVIRONMENT: &str = "staging two";

/// A recipe as a job sees it.
struct Recipe {
    /// The shell that the CI runs scripts with.
    shell: &'static [&'static str],
    script: String,
    /// What the CI sets by itself.
    ci: &'static [(&'static str, &'static str)],
    /// What the script calls what the job gives: project, reports, environment, program, queue URL.
    names: [&'static str; 5],
    run_id: &'static str,
    link: &'static str,
}

pub(crate) async fn the_github_action_publishes_a_jobs_failures(url: String) -> Result<()> {
    publishes_failures(&github()?, &url).await
}

pub(crate) async fn the_gitlab_template_publishes_a_jobs_failures(url: String) -> Result<()> {
    publishes_failures(&gitlab()?, &url).await
}

pub(crate) async fn the_jenkins_step_publishes_a_builds_failures(url: String) -> Result<()> {
    publishes_failures(&jenkins()?, &url).await
}

async fn publishes_failures(recipe: &Recipe, url: &str) -> Result<()> {
    let site = Site::new(url).await?;
    let worker = site.worker().await?;
    let channel = site.queues().await?.channel().await?;
    let copies = bound_queue(&channel, &format!("{}.events", site.prefix()), FieldTable::default()).await?;
    std::fs::create_dir(site.folder().join("reports"))?;
    std::fs::write(site.folder().join("reports/unit.xml"), REPORT)?;

    let ended = recipe.run(&site, "prefixed", url).await?;
    ensure!(ended.code == Some(0) && ended.stdout.contains("published 2 events"), "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(!said.contains("guest:guest") && !said.contains("not published"), "{said}");
    ensure!(!site.folder().join("taken").exists(), "the project's name was run as a command");
    wait::until("two alerts", || async { (site.fake.accepted_count() == 2).then_some(()) }).await?;
    for _ in 0..2 {
        let copy = channel.basic_get(copies.as_str().into(), BasicGetOptions { no_ack: true }).await?;
        let event: Value = serde_json::from_slice(&copy.context("a copy")?.delivery.data)?;
        let fields = ["project", "environment", "run_id", "report_url"].map(|field| event[field].as_str());
        ensure!(fields == [PROJECT, ENVIRONMENT, recipe.run_id, recipe.link].map(Some), "{event:#}");
    }
    drop(worker);
    site.close().await
}

pub(crate) async fn no_recipe_fails_a_build(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    for recipe in [github()?, gitlab()?, jenkins()?] {
        // The program is not there; it fails; the secret is not there, which a recipe or the program says.
        let cases = [
            ("./absent", url.as_str(), &["not published"][..]),
            ("false", &url, &["not published"]),
            ("prefixed", "", &["nothing published", "nightbell: warning: "]),
        ];
        for (program, url, says) in cases {
            let ended = recipe.run(&site, program, url).await?;
            let said = says.iter().any(|text| format!("{}{}", ended.stdout, ended.stderr).contains(text));
            ensure!(ended.code == Some(0) && said, "{:?}, {program}: {ended:?}", recipe.shell);
        }
    }
    Ok(())
}

fn github() -> Result<Recipe> {
    let text = recipe("github/action.yml")?;
    let variables = block(&text, "env:")?;
    let line = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        let input = value.strip_prefix("${{ inputs.")?.strip_suffix(" }}")?;
        Some((input.to_owned(), name.to_owned()))
    };
    let inputs: BTreeMap<String, String> = variables.lines().filter_map(line).collect();
    ensure!(inputs.len() == variables.lines().count(), "each variable is an input: {variables}");
    let names = [
        ("project", "PROJECT"),
        ("junit", "JUNIT"),
        ("environment", "ENVIRONMENT"),
        ("nightbell", "NIGHTBELL"),
        ("queue-url", "NIGHTBELL_QUEUE_URL"),
    ];
    ensure!(names.iter().all(|(input, name)| inputs.get(*input).is_some_and(|is| is == name)), "{inputs:?}");
    let script = block(&text, "run: |")?;
    ensure!(!script.contains("${{"), "nothing is put into the script's text: {script}");
    Ok(Recipe {
        shell: &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
        script,
        ci: &[
            ("GITHUB_RUN_ID", "71"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            ("GITHUB_REPOSITORY", "acme/shop"),
        ],
        names: names.map(|(_, name)| name),
        run_id: "71-2",
        link: "https://github.example.com/acme/shop/actions/runs/71/attempts/2",
    })
}

fn gitlab() -> Result<Recipe> {
    let link = "https://gitlab.example.com/acme/shop/-/jobs/72";
    Ok(Recipe {
        shell: &["sh"],
        script: block(&recipe("gitlab.yml")?, "- |")?,
        ci: &[
            ("CI_PIPELINE_ID", "71"),
            ("CI_JOB_ID", "72"),
            ("CI_JOB_URL", "https://gitlab.example.com/acme/shop/-/jobs/72"),
        ],
        names: [
            "NIGHTBELL_PROJECT",
            "NIGHTBELL_JUNIT",
            "NIGHTBELL_ENVIRONMENT",
            "NIGHTBELL",
            "NIGHTBELL_QUEUE_URL",
        ],
        run_id: "71-72",
        link,
    })
}

fn jenkins() -> Result<Recipe> {
    let link = "https://jenkins.example.com/job/shop/7/";
    Ok(Recipe {
        shell: &["sh", "-xe"],
        script: block(&recipe("jenkins/nightbellPublish.groovy")?, "script: '''")?,
        ci: &[("BUILD_TAG", "jenkins-shop-7"), ("BUILD_URL", "https://jenkins.example.com/job/shop/7/")],
        names: ["PROJECT", "JUNIT", "ENVIRONMENT", "NIGHTBELL", "NIGHTBELL_QUEUE_URL"],
        run_id: "jenkins-shop-7",
        link,
    })
}

impl Recipe {
    /// Runs the script in the site's folder. `prefixed` there is the real program, told the site's prefix.
    async fn run(&self, site: &Site, program: &str, url: &str) -> Result<Ended> {
        let (nightbell, prefix) = (program::path("nightbell")?, site.prefix());
        let prefixed = format!("prefixed() {{ '{}' \"$@\" --prefix {prefix}; }}\n", nightbell.display());
        let script = site.folder().join("script");
        std::fs::write(&script, prefixed + &self.script)?;
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(script).current_dir(site.folder());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.ci.iter().copied());
        command.envs(self.names.into_iter().zip([PROJECT, JUNIT, ENVIRONMENT, program, url]));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(wait::WAIT_MAX, command.output()).await;
        Ok(output.context("the script does not end")?.context("run the script")?.into())
    }
}

fn recipe(file: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ci").join(file);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// The lines that stand deeper than the first line that ends so, brought to the margin.
fn block(text: &str, after: &str) -> Result<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.starts_with('#') || !line.ends_with(after));
    let head = lines.next().with_context(|| format!("no line ends with `{after}`"))?;
    let body: Vec<&str> = lines.take_while(|line| depth(line) > depth(head)).collect();
    let margin = body.first().map_or(0, |line| depth(line));
    Ok(body.iter().map(|line| format!("{}\n", &line[margin..])).collect())
}
