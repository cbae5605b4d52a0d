//! Invariant 1, as far as a manifest can show it.

/// What would let core do I/O, read a clock or draw randomness by itself.
const FORBIDDEN: [&str; 12] = [
    "tokio",
    "lapin",
    "sled",
    "redb",
    "reqwest",
    "hyper",
    "axum",
    "rand",
    "tracing",
    "metrics",
    "nightbell-",
    "rustix",
];

#[test]
fn core_depends_on_nothing_that_does_io() {
    let manifest = include_str!("../Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("[dev-dependencies]").unwrap();
    for name in dependencies.lines().filter_map(|line| line.split(['.', ' ']).next()) {
        assert!(!FORBIDDEN.iter().any(|forbidden| name.starts_with(forbidden)), "core names {name}");
    }
}

#[test]
fn no_source_of_core_names_a_clock_or_a_generator() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for forbidden in
                ["SystemTime", "Instant::now", "rand::", "std::fs", "std::net", "std::env", "thread::"]
            {
                assert!(!text.contains(forbidden), "{} names {forbidden}", path.display());
            }
        }
    }
}
