#[cfg(test)]
mod tests {
    #[test]
    fn adds_up() {
        assert_eq!(19 + 23, 42);
    }

    #[test]
    fn gives_a_discount() {
        assert_eq!(100 - 10, 80, "the discount is wrong");
    }

    #[test]
    fn stores_the_order() -> Result<(), String> {
        Err("the database does not answer".into())
    }

    #[test]
    #[ignore = "not before spring"]
    fn ships_to_mars() {}

    #[test]
    fn pays_the_second_time() {
        let tried = std::env::temp_dir().join("nightbell-nextest-tried");
        if !tried.exists() {
            std::fs::write(&tried, "").unwrap();
            panic!("the gateway was asleep");
        }
        std::fs::remove_file(&tried).unwrap();
    }

    #[test]
    fn crashes() {
        std::process::abort();
    }
}
