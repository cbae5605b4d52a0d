//! The recipes of `deploy/ci`: the script of each is taken out and run as its CI would run it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use lapin::Channel;
use lapin::options::BasicGetOptions;
use lapin::types::FieldTable;
use nightbell_tests::program::{self, Ended};
use nightbell_tests::site::Site;
use nightbell_tests::wait;
use serde_json::Value;
use tokio::process::Command;

use crate::examples::bound_queue;

/// Two tests of it fail.
const FAILING: &str = r#"<testsuite name="shop" tests="3">
  <testcase classname="cart" name="pays"><failure message="HTTP 500">at line 7</failure></testcase>
  <testcase classname="cart" name="refunds"><error message="no database"/></testcase>
  <testcase classname="cart" name="adds"/>
</testsuite>"#;

const GREEN: &str =
    r#"<testsuite name="shop" tests="1"><testcase classname="cart" name="adds"/></testsuite>"#;

/// What a job gives a recipe. A name that a shell would take apart, and a pattern that it would spell out.
const PROJECT: &str = "the $(touch taken) `shop`";
const REPORTS: &str = "reports/*.xml";
const ENVIRONMENT: &str = "staging two";

/// What comes of a job: tests and messages.
const ITS_TESTS: &[(&str, &str)] = &[("cart.pays", "HTTP 500"), ("cart.refunds", "no database")];
const IT_SHOWS_NOTHING: &[(&str, &str)] =
    &[("test run", "the run failed with 1 and its report shows no failure")];
const IT_LEFT_NOTHING: &[(&str, &str)] = &[("test run", "the run failed with 1 and left no report")];
const NOTHING: &[(&str, &str)] = &[];

/// Variables and their values.
type Variables = &'static [(&'static str, &'static str)];

/// A recipe as a job sees it.
struct Recipe {
    /// The shell that the CI runs scripts with.
    shell: &'static [&'static str],
    script: String,
    /// What the CI sets by itself.
    ci: Variables,
    /// What the script calls what the job gives: project, reports, environment, program, queue URL.
    names: [&'static str; 5],
    /// Two files, as one gives several.
    several: &'static str,
    /// A job that failed, and names its reports as it did before.
    older: Option<Variables>,
    /// The ways for a job to have failed, and the ways not to.
    failed: &'static [Variables],
    passed: &'static [Variables],
    run_id: &'static str,
    link: &'static str,
}

/// What becomes of a job.
#[derive(Clone, Copy)]
struct Job {
    report: &'static str,
    /// Which reports the recipe is told of.
    reports: &'static str,
    end: Variables,
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
    for (job, want) in recipe.jobs() {
        let ended = recipe.run(&site, &job, "prefixed", url).await?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let is_well =
            ended.code == Some(0) && !said.contains("guest:guest") && !said.contains("not published");
        ensure!(is_well, "{:?}, {:?}: {ended:?}", job.reports, job.end);
        let told = recipe.told(&channel, &copies).await?;
        let told: Vec<_> = told.iter().map(|(test, message)| (test.as_str(), message.as_str())).collect();
        ensure!(told == want, "{:?}, {:?}: {told:?}, {ended:?}", job.reports, job.end);
        ensure!(!site.folder().join("taken").exists(), "what a job gave was run as a command");
    }
    // Of one run each of them rings once: the tests, and the run by its reports, and without any.
    wait::until("four alerts", || async { (site.fake.accepted_count() == 4).then_some(()) }).await?;
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
            let job = Job { report: FAILING, reports: REPORTS, end: recipe.failed[0] };
            let ended = recipe.run(&site, &job, program, url).await?;
            let said = says.iter().any(|text| format!("{}{}", ended.stdout, ended.stderr).contains(text));
            ensure!(ended.code == Some(0) && said, "{:?}, {program}: {ended:?}", recipe.shell);
        }
    }
    Ok(())
}

fn github() -> Result<Recipe> {
    let text = recipe("github/action.yml")?;
    let variables = "NIGHTBELL_QUEUE_URL: ${{ inputs.queue-url }}
REPORTS: ${{ inputs.reports || inputs.junit }}
PROJECT: ${{ inputs.project }}
ENVIRONMENT: ${{ inputs.environment }}
EXIT_STATUS: ${{ inputs.exit-status }}
JOB_STATUS: ${{ job.status }}
JOB_INDEX: ${{ strategy.job-index }}
RUN: ${{ inputs.run }}
NIGHTBELL: ${{ inputs.nightbell }}
";
    ensure!(block(&text, "env:")? == variables, "what follows stands for these: {text}");
    let script = block(&text, "run: |")?;
    ensure!(!script.contains("${{"), "nothing is put into the script's text: {script}");
    Ok(Recipe {
        shell: &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
        script,
        ci: &[
            ("GITHUB_RUN_ID", "71"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("GITHUB_JOB", "tests"),
            ("JOB_INDEX", "3"),
            ("RUN", "end to end"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            ("GITHUB_REPOSITORY", "acme/shop"),
        ],
        names: ["PROJECT", "REPORTS", "ENVIRONMENT", "NIGHTBELL", "NIGHTBELL_QUEUE_URL"],
        several: "reports/{unit,a job}.xml\nreports/uni?.xml\n",
        older: None,
        failed: &[
            &[("JOB_STATUS", "failure")],
            &[("JOB_STATUS", "success"), ("EXIT_STATUS", "1")],
            &[("JOB_STATUS", "success"), ("EXIT_STATUS", "failure")],
            &[("JOB_STATUS", "success"), ("EXIT_STATUS", "$(touch taken) *")],
        ],
        passed: &[
            &[("JOB_STATUS", "success")],
            &[("JOB_STATUS", "cancelled")],
            &[("JOB_STATUS", "failure"), ("EXIT_STATUS", "0")],
            &[("JOB_STATUS", "failure"), ("EXIT_STATUS", "success")],
        ],
        run_id: "71-2-tests-3-end to end",
        link: "https://github.example.com/acme/shop/actions/runs/71/attempts/2",
    })
}

fn gitlab() -> Result<Recipe> {
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
            "NIGHTBELL_REPORTS",
            "NIGHTBELL_ENVIRONMENT",
            "NIGHTBELL",
            "NIGHTBELL_QUEUE_URL",
        ],
        several: "reports/a job.xml, reports/u*.xml",
        older: Some(&[("CI_JOB_STATUS", "failed"), ("NIGHTBELL_JUNIT", REPORTS)]),
        failed: &[&[("CI_JOB_STATUS", "failed")]],
        passed: &[&[("CI_JOB_STATUS", "success")], &[("CI_JOB_STATUS", "canceled")], &[]],
        run_id: "71-72",
        link: "https://gitlab.example.com/acme/shop/-/jobs/72",
    })
}

fn jenkins() -> Result<Recipe> {
    let text = recipe("jenkins/nightbellPublish.groovy")?;
    let variables =
        ["REPORTS=${options.reports ?: options.junit ?: ''}", "RESULT=${currentBuild.currentResult}"];
    ensure!(
        variables.iter().all(|variable| text.contains(variable)),
        "what follows stands for these: {text}"
    );
    Ok(Recipe {
        shell: &["sh", "-xe"],
        script: block(&text, "script: '''")?,
        ci: &[("BUILD_TAG", "jenkins-shop-7"), ("BUILD_URL", "https://jenkins.example.com/job/shop/7/")],
        names: ["PROJECT", "REPORTS", "ENVIRONMENT", "NIGHTBELL", "NIGHTBELL_QUEUE_URL"],
        several: "reports/a job.xml, reports/u*.xml",
        older: None,
        failed: &[&[("RESULT", "FAILURE")], &[("RESULT", "UNSTABLE")]],
        passed: &[&[("RESULT", "SUCCESS")], &[("RESULT", "ABORTED")]],
        run_id: "jenkins-shop-7",
        link: "https://jenkins.example.com/job/shop/7/",
    })
}

impl Recipe {
    /// Jobs, and what is to be told of each.
    fn jobs(&self) -> Vec<(Job, &'static [(&'static str, &'static str)])> {
        let failed = Job { report: GREEN, reports: REPORTS, end: self.failed[0] };
        let mut jobs = vec![
            (Job { report: FAILING, ..failed }, ITS_TESTS),
            (Job { report: FAILING, reports: self.several, ..failed }, ITS_TESTS),
            (Job { report: FAILING, end: self.passed[0], ..failed }, ITS_TESTS),
            (Job { reports: "nowhere/*.xml", ..failed }, IT_LEFT_NOTHING),
            (Job { reports: "", ..failed }, IT_LEFT_NOTHING),
            (Job { reports: "", end: self.passed[0], ..failed }, NOTHING),
        ];
        jobs.extend(self.older.map(|end| (Job { report: FAILING, reports: "", end }, ITS_TESTS)));
        jobs.extend(self.failed.iter().map(|&end| (Job { end, ..failed }, IT_SHOWS_NOTHING)));
        jobs.extend(self.passed.iter().map(|&end| (Job { end, ..failed }, NOTHING)));
        jobs
    }

    /// What was published since the last time: tests and messages.
    async fn told(&self, channel: &Channel, copies: &str) -> Result<Vec<(String, String)>> {
        let mut told = Vec::new();
        while let Some(copy) = channel.basic_get(copies.into(), BasicGetOptions { no_ack: true }).await? {
            let event: Value = serde_json::from_slice(&copy.delivery.data)?;
            let fields =
                ["project", "environment", "run_id", "report_url"].map(|field| event[field].as_str());
            ensure!(fields == [PROJECT, ENVIRONMENT, self.run_id, self.link].map(Some), "{event:#}");
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            told.push((text("test"), text("message")));
        }
        told.sort();
        Ok(told)
    }

    /// Runs the script in the site's folder. `prefixed` there is the real program, told the site's prefix.
    async fn run(&self, site: &Site, job: &Job, program: &str, url: &str) -> Result<Ended> {
        let reports = site.folder().join("reports");
        std::fs::create_dir_all(&reports)?;
        std::fs::write(reports.join("unit.xml"), job.report)?;
        std::fs::write(reports.join("a job.xml"), GREEN)?;
        let (nightbell, prefix) = (program::path("nightbell")?, site.prefix());
        let nightbell = nightbell.display();
        let prefixed = format!("prefixed() {{ shift; '{nightbell}' publish --prefix {prefix} \"$@\"; }}\n");
        let script = site.folder().join("script");
        std::fs::write(&script, prefixed + &self.script)?;
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(script).current_dir(site.folder());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.ci.iter().chain(job.end).copied());
        command.envs(self.names.into_iter().zip([PROJECT, job.reports, ENVIRONMENT, program, url]));
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
