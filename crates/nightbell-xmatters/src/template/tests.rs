//! Templates that are refused, with the words that say why, and templates that fail late.

use insta::assert_snapshot;
use nightbell_core::event::{Severity, Status};
use proptest::prelude::*;

use super::*;
use crate::settings::DestinationSettings;
use crate::settings::tests::destination;

fn compile(source: &str) -> Result<Template, TemplateError> {
    Template::compile(source, "alert.json")
}

fn refused(sources: &[&str]) -> String {
    let said = |source: &&str| format!("{source}\n  {}\n", compile(source).unwrap_err());
    sources.iter().map(said).collect()
}

#[test]
fn what_is_no_template_is_refused() {
    assert_snapshot!(refused(&[
        "{\"id\": {{ alert_id }",
        "{\n  \"id\": {{ alert_id }},\n  {% if suite %}\"suite\": {{ suite }}\n}",
        "{{ alert_id | colour }}",
        "{{ alert_id | format }}",
        "{{ alert_id is blue }}",
        "{% include \"/etc/passwd\" %}",
        "{% import \"other\" as other %}",
        "{% macro f() %}{% endmacro %}",
        "{\"a\": {{ colour() }}}",
    ]));
}

#[test]
fn what_no_event_has_is_refused() {
    assert_snapshot!(refused(&[
        "[\n{{ alert_id }},\n{{ mesage }}]",
        "[{{ alert_id }}{% if status == 'never' %}, {{ nowhere }}{% endif %}]",
        "[{{ alert_id }}, {{ env.PATH }}]",
        "[{{ alert_id }}, {{ labels.team }}]",
        "[{{ alert_id }}, {{ labels[\"company\"] }}]",
        "[{{ alert_id }}, {{ suite.name }}]",
        "[{{ alert_id }}, {{ tags[0] | upper }}]",
        "[{{ alert_id }}, {{ namespace(x=1) }}]",
        "[{{ alert_id }}, {{ debug() }}]",
    ]));
}

#[test]
fn a_result_that_is_no_json_is_refused() {
    assert_snapshot!(refused(&[
        "",
        "{{ alert_id }}",
        "null",
        "{\"id\": {{ alert_id }},}",
        "{\n  \"id\": {{ alert_id }},\n  \"text\": \"{{ message }}\"\n}",
        "{\n  \"id\": {{ alert_id }},\n  \"text\": \"{{ message | safe }}\"\n}",
        "{\"id\": {{ alert_id }}",
        "{\"id\": {{ alert_id }}} trailing",
        "[{{ alert_id }}, {% for tag in tags %}{{ tag }}, {% endfor %}]",
        "[{{ alert_id }} {% if status == 'passed' %}]{% endif %}",
    ]));
}

#[test]
fn a_template_without_the_alerts_id_is_refused() {
    assert_snapshot!(refused(&[
        "{\"text\": {{ message }}}",
        "{\"text\": {{ message }}{% if suite %}, \"id\": {{ alert_id }}{% endif %}}",
    ]));
}

#[test]
fn what_would_run_or_grow_without_end_is_refused() {
    assert_snapshot!(refused(&[
        "[{{ alert_id }}{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}]",
        "[{{ alert_id }}{% for a in range(1000000) %}, 1{% endfor %}]",
        "[{{ alert_id }}, {{ \"x\" * 600000 }}]",
        "[{{ alert_id }}{% for a in range(10000) %}, \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"{% endfor %}]",
        "[{{ alert_id }}, {{ \"x\" * 600000000 }}]",
    ]));
    let long = " ".repeat(TEMPLATE_BYTES_MAX);
    let said = compile(&format!("{long} ")).unwrap_err().to_string();
    assert_eq!(said, "the template `alert.json` is longer than 65536 bytes");
}

#[track_caller]
fn check(source: &str, want: &str) {
    let template = compile(source).unwrap();
    let alert = sample::alert(Event {
        message: Some("\"a\"\n</b>".into()),
        labels: [("team".to_owned(), "core".to_owned())].into(),
        tags: vec!["x".into(), "y".into()],
        ..Event::new("shop", "t")
    });
    let settings = destination("https://a");
    let got = template.render(&settings.view(&alert));
    assert_eq!(String::from_utf8(got).unwrap().replace(&alert.alert_id.to_string(), "ID"), want);
}

#[test]
fn values_are_printed_as_json() {
    check("[{{ alert_id }}, {{ message }}]", r#"["ID", "\"a\"\n</b>"]"#);
    check("[{{ alert_id }}, {{ labels }}, {{ tags }}]", r#"["ID", {"team":"core"}, ["x","y"]]"#);
    check("[{{ alert_id }}, {{ labels | tojson }}]", r#"["ID", {"team": "core"}]"#);
    check("[{{ alert_id }}, {{ tags | join(', ') }}]", r#"["ID", "x, y"]"#);
    check("[{{ alert_id }}, {{ suite }}, {{ attempt }}]", r#"["ID", null, 1]"#);
    check("[{{ alert_id }}, {{ recipients }}, {{ priority }}]", r#"["ID", [], "HIGH"]"#);
    check("{\"id:{{ alert_id | safe }}\": 1}", r#"{"id:ID": 1}"#);
}

#[test]
fn what_may_be_missing_has_a_way_to_say_so() {
    check("[{{ alert_id }}, {{ labels.team | default('none') }}]", r#"["ID", "core"]"#);
    check("[{{ alert_id }}, {{ labels.colour | default('none') }}]", r#"["ID", "none"]"#);
    check(
        "[{{ alert_id }}{% if labels.team is defined %}, {{ labels.team }}{% endif %}]",
        r#"["ID", "core"]"#,
    );
    check("[{{ alert_id }}, {{ environment or project }}]", r#"["ID", "shop"]"#);
    check(
        "[{{ alert_id }}{% for tag in tags %}, {{ tag ~ loop.index }}{% endfor %}]",
        r#"["ID", "x1", "y2"]"#,
    );
}

/// A template that fails only for events that no sample is like.
fn late(failing: &str) -> Template {
    let source = format!(
        "{{\"id\": {{{{ alert_id }}}}, \"text\": {{{{ message }}}}{{% if {failing} %}}, {{{{ labels.nowhere }}}}{{% endif %}}}}"
    );
    compile(&source).unwrap()
}

fn shown(template: &Template, event: Event) -> Value {
    let alert = sample::alert(event);
    let settings = DestinationSettings {
        report_base_url: Some("https://r.example.com".parse().unwrap()),
        ..destination("https://a")
    };
    serde_json::from_slice(&template.render(&settings.view(&alert))).unwrap()
}

#[test]
fn an_event_that_a_template_cannot_show_is_sent_in_the_templates_shape() {
    let event = Event {
        message: Some("expected 200".into()),
        report_path: Some("/7".into()),
        ..Event::new("shop", "t")
    };
    let body = shown(&late("report_url == 'https://r.example.com/7'"), event);
    assert_eq!(body["id"], sample::alert(Event::new("p", "t")).alert_id.to_string());
    assert_eq!(
        body["text"],
        "The template `alert.json` can't show this event: undefined value: `labels.nowhere` is undefined; for what can \
         be missing, add `| default(none)` (line 1)\n\n\
         expected 200\n\nhttps://r.example.com/7"
    );
}

#[test]
fn an_event_that_a_template_cannot_show_in_any_way_is_sent_as_a_form() {
    let body = shown(&late("project == 'odd'"), Event::new("odd", "t"));
    let properties = &body["properties"];
    assert_eq!(properties["alert_id"], sample::alert(Event::new("p", "t")).alert_id.to_string());
    assert!(properties["message"].as_str().unwrap().starts_with("The template `alert.json` can't show"));
    assert_eq!(properties["project"], "odd");
}

#[test]
fn a_label_does_not_hide_the_alerts_id() {
    let all =
        "{\"id\": {{ alert_id }}{% for name, text in labels | items %}, {{ name }}: {{ text }}{% endfor %}}";
    let event = Event { labels: [("id".to_owned(), "x".to_owned())].into(), ..Event::new("p", "t") };
    let body = shown(&compile(all).unwrap(), event);
    assert_eq!(body["id"], sample::alert(Event::new("p", "t")).alert_id.to_string());
}

#[test]
fn a_template_sees_texts_that_are_cut() {
    let long = "ä".repeat(100_000);
    let all = "[{{ alert_id }}, {{ project }}, {{ message }}, {{ details }}, {{ tags }}, {{ labels }}, {{ summary }}]";
    let event = Event {
        message: Some(long.clone()),
        details: Some(long.clone()),
        tags: vec![long.clone(); 300],
        labels: (0..300).map(|number| (format!("l{number}"), long.clone())).collect(),
        ..Event::new(long.clone(), long)
    };
    let body = shown(&compile(all).unwrap(), event);
    assert_eq!(body[1].as_str().unwrap().chars().count(), crate::TEXT_CHARS_MAX);
    assert!(body[2].as_str().unwrap().starts_with("ää"), "{}", body[2]);
}

#[test]
fn a_template_shows_its_name_only() {
    assert_eq!(format!("{:?}", compile("[{{ alert_id }}]").unwrap()), "Template(\"alert.json\")");
}

const TEMPLATES: [&str; 4] = [
    "[{{ alert_id }}, {{ project }}, {{ test }}, {{ message }}, {{ labels }}, {{ tags | tojson }}]",
    "{\"i\": {{ alert_id }}, {{ labels.a | default('x') }}: {{ tags | first | default(suite) }}}",
    "{\"i\": {{ alert_id }}, \"raw\": \"{{ message | replace('\"', '') | safe }}\"}",
    "{\"i\": {{ alert_id }}{% for name, text in labels | items %}, {{ name }}: {{ text }}{% endfor %}}",
];

proptest! {
    #[test]
    fn any_event_becomes_json_with_the_alerts_id(
        texts in prop::array::uniform4("(?s).{0,30}"),
        labels in prop::collection::btree_map("[a-c]|(?s).", "(?s).{0,9}", 0..5),
        status in prop::sample::select(vec![Status::Failed, Status::Error, Status::Passed]),
        which in 0..TEMPLATES.len(),
    ) {
        let template = Template::compile("[{{ alert_id }}]", "x").unwrap();
        let template = Template::compile(TEMPLATES[which], "x").unwrap_or(template);
        let [project, test, message, tag] = texts;
        let severity = Severity::Low;
        let event = Event { message: Some(message), tags: vec![tag], labels, status, severity, ..Event::new(project, test) };
        let alert = sample::alert(event);
        let body = template.render(&destination("https://a").view(&alert));
        prop_assert!(body.len() <= BODY_BYTES_MAX);
        let read: Value = serde_json::from_slice(&body).unwrap();
        let has_id = read.to_string().contains(&alert.alert_id.to_string());
        prop_assert!(has_id, "{}", read);
    }
}
