//! The metrics by their public names.

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::common::{Place, close, commit};

#[track_caller]
fn check(rendered: &str, line: &str) {
    assert!(rendered.lines().any(|found| found == line), "no `{line}` in\n{rendered}");
}

/// The recorder is the whole process's, so this is the one test that installs one.
#[tokio::test]
async fn every_series_is_there_from_the_start_and_counts() {
    let bare = PrometheusBuilder::new().build_recorder();
    let handle = bare.handle();
    let place = Place::new();
    metrics::with_local_recorder(&bare, || drop(place.open()));
    check(&handle.render(), "nightbell_ledger_reset_total 0");
    check(&handle.render(), "nightbell_ledger_entries 0");

    let damaged = PrometheusBuilder::new().build_recorder();
    let handle = damaged.handle();
    std::fs::write(place.path().join("damaged"), "page 7 is gone").unwrap();
    metrics::with_local_recorder(&damaged, || drop(place.open()));
    check(&handle.render(), "nightbell_ledger_reset_total 1");

    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    let (ledger, _) = place.open();
    commit(&ledger, 1).await.unwrap();
    close(ledger).await.unwrap();
    let rendered = handle.render();
    let count = rendered
        .lines()
        .find_map(|line| line.strip_prefix("nightbell_ledger_commit_duration_seconds_count "));
    assert!(count.unwrap().parse::<u64>().unwrap() > 0, "{rendered}");
    assert!(rendered.contains("# HELP nightbell_ledger_commit_duration_seconds "), "{rendered}");
}
