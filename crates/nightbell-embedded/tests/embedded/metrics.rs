//! The metrics by their public names.

use metrics_exporter_prometheus::PrometheusBuilder;
use nightbell_core::ports::{Destination, MessageQueue as _};

use crate::common::{Place, acked, becomes, close, connector, publish, publish_all};

#[track_caller]
fn check(rendered: &str, line: &str) {
    assert!(rendered.lines().any(|found| found == line), "no `{line}` in\n{rendered}");
}

#[tokio::test]
async fn every_series_is_there_from_the_start_and_follows_the_queue() {
    let place = Place::new();
    let queue = place.open(&["gone"]);
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();

    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let queue = metrics::with_local_recorder(&recorder, || place.open(&["sre"]));
    let rendered = handle.render();
    check(&rendered, "nightbell_broker_connected 1");
    check(&rendered, "nightbell_queue_depth{connector=\"gone\"} 1");
    check(&rendered, "nightbell_queue_depth{connector=\"sre\"} 0");
    check(&rendered, "nightbell_dead_letters 0");
    assert!(rendered.contains("# HELP nightbell_queue_depth "), "{rendered}");

    publish_all(&queue, &["1", "2"]).await;
    publish(&queue, Destination::Dead, "3").await.unwrap();
    becomes(|| queue.depths().dead == Some(1)).await;
    check(&handle.render(), "nightbell_queue_depth{connector=\"sre\"} 2");
    check(&handle.render(), "nightbell_dead_letters 1");
    acked(&mut queue.subscribe(connector("sre")), 2).await;
    becomes(|| queue.depths().connectors[&connector("sre")] == 0).await;
    check(&handle.render(), "nightbell_queue_depth{connector=\"sre\"} 0");
    close(queue).await.unwrap();
    check(&handle.render(), "nightbell_broker_connected 0");
}
