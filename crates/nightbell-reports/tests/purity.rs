//! What the crate's manifest promises.

/// What would let it wait, draw from a network, or decide what is published.
const FORBIDDEN: [&str; 8] =
    ["tokio", "futures", "lapin", "reqwest", "hyper", "axum", "tracing", "nightbell-"];

#[test]
fn it_only_reads() {
    let (_, dependencies) = include_str!("../Cargo.toml").split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("[dev-dependencies]").unwrap();
    for name in dependencies.lines().filter_map(|line| line.split(['.', ' ']).next()) {
        let is_forbidden = FORBIDDEN.iter().any(|forbidden| name.starts_with(forbidden));
        assert!(name == "nightbell-core" || !is_forbidden, "it names {name}");
    }
}
