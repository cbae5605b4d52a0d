//! Templates that would fill the memory, and templates that people write.

use std::time::{Duration, Instant};

use nightbell_core::event::Event;

use super::*;
use crate::settings::tests::destination;
use crate::template::{Template, sample};

#[track_caller]
fn check_refused(source: &str, want: &'static str) {
    let found = check(source);
    assert_eq!(found.as_ref().map_err(|growth| growth.problem), Err(want), "{source}");
    let whole = format!("[{{{{ alert_id }}}},\n{source}]");
    let said = Template::compile(&whole, "t").unwrap_err().to_string();
    assert!(said.contains(want) && said.contains("(line 2"), "{said}");
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    for source in [
        "{{ \"x\" * 600000000 }}",
        "{{ 99_999_999 * \"x\" }}",
        "{{ \"x\" * 1e9 }}",
        "{{ \"x\" * 0x5f5e100 }}",
        "{{ ([1] * 100000000) | list | length }}",
        "{{ details * 10000 }}",
        "{{ details | replace(\"\", details) }}",
        "{{ details | replace(\"a\", details) | replace(\"b\", details) }}",
        "{{ tags | join(details) | replace(\"\", details) }}",
        "{{ details | list | map(\"replace\", \"\", details) | join }}",
        "{{ labels | tojson(1000000) }}",
        "{{ labels | tojson(indent=1000000) }}",
        "{{ range(100000) | batch(1000000, details) | list | length }}",
        "{{ tags | slice(100000000) | list | length }}",
        "{{ tags | map(\"tojson\", 1000000) | list | length }}",
        "{% for a in range(10000) %}{% if details ~ \"x\" * 5000000 == a %}{% endif %}{% endfor %}",
    ] {
        check_refused(source, TOO_LARGE);
    }
    let doubled = "{% set a = details %}".to_owned() + &"{% set a = a ~ a %}".repeat(20);
    check_refused(&format!("{doubled}{{{{ a | length }}}}"), TOO_LARGE);
    let trimmed = "{%- set a = a ~ a -%}".repeat(20);
    check_refused(&format!("{{%+ set a = details %}}{trimmed}0"), TOO_LARGE);
    // Quotes and backslashes double each time that a list is made a text.
    check_refused(&format!("{{% set a = details %}}{}0", "{% set a = [a] ~ 1 %}".repeat(20)), TOO_LARGE);
    check_refused(&format!("{{% set a = details %}}{}0", "{% set a = [[a]] | join %}".repeat(20)), TOO_LARGE);
    check_refused(&format!("{{{{ {}details{} }}}}", "[".repeat(20), "] ~ 1".repeat(20)), TOO_LARGE);
    let items = "{% for a in [loop.previtem ~ loop.previtem, 1] %}".repeat(20);
    let ends = "{% endfor %}".repeat(21);
    check_refused(&format!("{{% for a in [details, details] %}}{items}0{ends}"), TOO_LARGE);
    let names: String = (0..20).map(|n| format!("{{% set a{} = a{n} ~ a{n} %}}", n + 1)).collect();
    check_refused(&format!("{{% set a0 = details %}}{names}0"), TOO_LARGE);
    let within = "{% with a = a ~ a %}".repeat(20);
    check_refused(&format!("{{% set a = details %}}{within}0{}", "{% endwith %}".repeat(20)), TOO_LARGE);
    let many: Vec<_> = (0..20).map(|n| format!("a{} = a{n} ~ a{n}", n + 1)).collect();
    check_refused(&format!("{{% with a0 = details, {} %}}0{{% endwith %}}", many.join(", ")), TOO_LARGE);
    let loops = "{% for a in [a ~ a] %}".repeat(20);
    check_refused(&format!("{{% set a = details %}}{loops}0{}", "{% endfor %}".repeat(20)), TOO_LARGE);
}

#[test]
fn what_can_not_be_weighed_is_refused() {
    check_refused("{{ \"x\" * 10**9 }}", UNKNOWN_TIMES);
    check_refused("{{ \"x\" * attempt }}", UNKNOWN_TIMES);
    check_refused("{{ \"x\" * (100000 + 1) }}", UNKNOWN_TIMES);
    check_refused("{% set n = 1000000 %}{{ \"x\" * n }}", UNKNOWN_TIMES);
    check_refused("{{ tags | batch(attempt, 1) | list }}", UNKNOWN_WIDTH);
    check_refused("{{ tags | tojson(indent=attempt) }}", UNKNOWN_WIDTH);
    check_refused("{% set a %}{{ details }}{% endset %}0", CAPTURE);
    check_refused("{% filter upper %}{{ details }}{% endfilter %}", CAPTURE);
    check_refused("{% for a in tags recursive %}{{ loop([a ~ a]) }}{% endfor %}", RECURSIVE);
}

/// An event that is as large as one can be.
fn large() -> Event {
    let long = |letter: &str| letter.repeat(10_000);
    Event {
        message: Some(long("a")),
        details: Some(long("\u{1}")),
        tags: vec!["x".into(); 5_000],
        labels: (0..2_000).map(|number| (format!("l{number}"), long("y"))).collect(),
        ..Event::new(long("p"), long("t"))
    }
}

/// All that a template can make is within a second's work and a few megabytes.
#[test]
fn what_people_write_is_taken_and_small() {
    for source in [
        "[{{ alert_id }}, {{ message | replace(\"\\n\", \" \") | replace(\"\\t\", \" \") | replace('\"', \"'\") | trim }}]",
        "[{{ alert_id }}, {{ tags | map(\"upper\") | join(\", \") }}, {{ recipients | join(\";\") }}, {{ attempt * 2 }}]",
        "{% set title = project ~ \": \" ~ test ~ \" (\" ~ (environment or \"?\") ~ \")\" %}{% set short = title[:100] %}\
         [{{ alert_id }}, {{ title }}, {{ short ~ \"…\" }}, {{ \"-\" * 40 }}]",
        "{# {{ \"x\" * 10**9 }} #}{\"i\": {{ alert_id }}{% for name, text in labels | items %}, {{ name }}: \
         {{ text | replace(\"a\", \"b\") }}{% endfor %}}",
        "[{{ alert_id }}, {{ range(5) | list | join(\", \") }}, {{ {\"a\": project ~ test, \"b\": [suite ~ \"x\"]} | tojson }}]",
        "[{{ alert_id }}{%- for name, text in labels | dictsort -%}, {{ text | trim | upper }}{%- endfor -%}]",
        "{\"i\": {{ alert_id }}, \"m\": {{ {\"a\": {\"b\": message}} }}, \"t\": {{ labels | tojson(2) }}}",
        "{% with a = message, b = labels | tojson(indent=2) %}[{{ alert_id }}, {{ a ~ b }}]{% endwith %}",
        "[{{ alert_id }}{% for tag in tags %}{% if tag is startingwith(\"x\") %}, {{ tag ~ loop.index }}{% endif %}{% endfor %}]",
    ] {
        let template = Template::compile(source, "t").unwrap_or_else(|error| panic!("{source}\n{error}"));
        let alert = sample::alert(large());
        let start = Instant::now();
        let body = template.render(&destination("https://a").view(&alert));
        assert!(start.elapsed() < Duration::from_secs(10), "{source}: {:?}", start.elapsed());
        assert!(body.len() <= crate::BODY_BYTES_MAX);
    }
}
