use serde_json::json;

use super::*;

fn context() -> Context {
    Context {
        params: json!({"n": 5, "low": -5, "text": "it's", "ratio": 0.5, "yes": true, "none": null, "list": ["a", "b'c"],
            "day": "2024-05-31", "at": "2024-05-31T06:00:00Z", "empty": [], "map": {"a": 1}, "cols": ["a", "b\"c"]}),
        types: [("day".to_owned(), ParamType::Date), ("at".to_owned(), ParamType::Timestamp)].into(),
        interval: Some(Interval { start: Timestamp(0), end: Timestamp(86_400_000_000) }),
        vars: json!({"table": "x"}),
        tasks: [(
            "count".to_owned(),
            TaskFacts { state: TaskState::Succeeded, result: json!({"n": 3}), rows: Some(7) },
        )]
        .into(),
        ..Context::default()
    }
}

fn sql(template: &str) -> Result<String, TemplateError> {
    render_sql(template, &context())
}

#[test]
fn values_become_literals() {
    for (template, expected) in [
        ("a = {{ params.n }}", "a = 5"),
        ("a -{{ params.low }}", "a - -5"),
        ("a = {{ params.text }}", "a = 'it''s'"),
        ("a = {{ params.ratio }}", "a = 0.5"),
        ("a = {{ params.yes }}", "a = TRUE"),
        ("a IS {{ params.none }}", "a IS NULL"),
        ("a IN {{ params.list }}", "a IN ('a', 'b''c')"),
        ("a = {{ params.day }}", "a = DATE '2024-05-31'"),
        ("a = {{ params.at }}", "a = TIMESTAMP '2024-05-31T06:00:00Z'"),
        (
            "a >= {{ interval.start }} AND a < {{ interval.end }}",
            "a >= TIMESTAMP '1970-01-01T00:00:00Z' AND a < TIMESTAMP '1970-01-02T00:00:00Z'",
        ),
        ("a = {{ interval.end | date }}", "a = DATE '1970-01-02'"),
        ("a = {{ '2024-05-31' | date }}", "a = DATE '2024-05-31'"),
        ("a = {{ '2024-05-31' }}", "a = '2024-05-31'"),
        ("SELECT {{ params.text | ident }}", "SELECT \"it's\""),
        ("SELECT {{ params.cols | ident }}", "SELECT \"a\", \"b\"\"c\""),
        ("a = {{ tasks.count.result.n + tasks.count.rows }}", "a = 10"),
        ("a LIKE {{ '%' ~ params.text ~ '%' }}", "a LIKE '%it''s%'"),
        ("{% for x in params.list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "'a', 'b''c'"),
        ("{% set c %}a = {{ params.text }}{% endset %}WHERE {{ c }}", "WHERE a = 'it''s'"),
        ("{% macro eq(x) %}a = {{ x }}{% endmacro %}WHERE {{ eq(params.text) }}", "WHERE a = 'it''s'"),
        ("-- {{ params.text }}\nSELECT 1", "-- \nSELECT 1"),
        ("SELECT '{# c #}' || {{ params.text }}", "SELECT '' || 'it''s'"),
        ("{% if params.day == '2024-05-31' %}yes{% endif %}", "yes"),
    ] {
        assert_eq!(sql(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn a_value_never_escapes_its_place() {
    for template in [
        "a = '{{ params.text }}'",
        "a = '%{{ params.text }}'",
        "a = \"{{ params.text }}\"",
        "a = E'x\\'{{ params.text }}'",
        "a = $$ {{ params.text }} $$",
        "a = E{{ params.text }}",
        "a = e{{- ' ' ~ params.text }}",
        "a = 'x'{{ params.text }}",
        "a = {{ params.text }}'x'",
        "a = {{ params.text }}{{ params.text }}",
        "{% if params.yes %}'{% endif %}{{ params.text }}'",
    ] {
        assert_eq!(sql(template).map_err(|error| error.code), Err(tm03::QUOTED_VALUE), "{template}");
    }
    for template in [
        "a = {{ params.text | safe }}",
        "a = {{ params.text | escape }}",
        "{% set c %}{{ params.text }}{% endset %}a = {{ c | replace(\"''\", \"'\") }}",
        "a = {{ '\u{fdd0}' }}",
    ] {
        let error = sql(template).expect_err(template);
        assert!(error.code.starts_with("TM03"), "{template}: {error:?}");
    }
    assert_eq!(
        sql("{% autoescape false %}{% set c %}{{ params.text }}{% endset %}a = {{ c }}{% endautoescape %}")
            .map_err(|e| e.code),
        Err(tm03::NO_LITERAL)
    );
}

#[test]
fn what_has_no_literal_is_refused() {
    for template in [
        "{{ params.map }}",
        "{{ params.empty }}",
        "{{ [[]] }}",
        "{{ '' | ident }}",
        "{{ 5 | ident }}",
        "{{ 'x' | date }}",
    ] {
        assert_eq!(sql(template).map_err(|error| error.code), Err(tm03::NO_LITERAL), "{template}");
    }
}

#[test]
fn endless_templates_end() {
    let loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert_eq!(sql(loops).map_err(|error| error.code), Err(tm03::TEMPLATE_ENDLESS));
    let long = "{% for a in range(100000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}";
    assert_eq!(render_text(long, &context()).map_err(|error| error.code), Err(tm03::TEMPLATE_ENDLESS));
    let recursive = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    assert!(sql(recursive).is_err());
}

#[test]
fn missing_names_are_errors_with_a_place() {
    let error = sql("SELECT {{ params.missing }}").expect_err("missing");
    assert_eq!((error.code, error.offset), (tm03::TEMPLATE_FAILED, Some(10)));
    assert!(sql("SELECT {{ params.missing | default(1) }}").is_ok());
}

#[test]
fn conditions_are_true_or_false() {
    let at = |template| render_bool(template, &context()).map_err(|error| error.code);
    assert_eq!(at("{{ params.n > 3 }}"), Ok(true));
    assert_eq!(at("params.n > 30"), Ok(false));
    assert_eq!(at("{% if params.yes %}true{% else %}false{% endif %}"), Ok(true));
    assert_eq!(at(" true "), Ok(true));
    assert_eq!(at("{{ params.n }}"), Err(tm03::NOT_BOOLEAN));
    assert_eq!(at("params.missing"), Err(tm03::TEMPLATE_FAILED));
}

#[test]
fn json_keeps_types_of_lone_expressions() {
    let value = json!({"a": "{{ params.n }}", "b": ["n={{ params.n }}", true], "c": "{{ tasks.count.result }}"});
    let expected = json!({"a": 5, "b": ["n=5", true], "c": {"n": 3}});
    assert_eq!(render_value(&value, &context()), Ok(expected));
}
