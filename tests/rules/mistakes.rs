//! What rule files are refused for, and how that reads.

use bellwether::rules;

fn check(text: &str, expected: &[&str]) {
    let found = match rules::parse("r.yml", text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn files_without_rules_are_fine() {
    check("", &[]);
    check("groups: []\n", &[]);
    check("groups:\n", &[]);
    check("groups:\n- name: g\n  interval: 30s\n  limit: 5\n  query_offset: 1m\n", &[]);
}

#[test]
fn a_file_that_is_no_rule_file_is_refused() {
    check("- a\n", &["r.yml:1:1: a rule file is a list (write a mapping with `groups`)"]);
    check(
        "groups: 5\nrules: []\n",
        &[
            "r.yml:1:9: `groups` is a single value (write a list)",
            "r.yml:2:1: a rule file has no field `rules` (its fields are `groups`)",
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    check(
        r#"groups:
- name: g
  interval: 5 minutes
  limit: many
  rule: []
- name: g
  rules:
  - record: a{b="c"}
    expr: up
    for: 5m
    annotations: {x: y}
  - alert: A
    record: a
    expr: up
  - expr: up
  - alert: A
  - alert: A
    expr: up ==
    labels: {__name__: x, severity: "{{ $value }}", list: [1]}
    annotations:
      summary: "{{ $nope }}"
  - alert: A
    expr: up[5m]
    exprs: up
    for: x
"#,
        &[
            "r.yml:3:13: `interval`: `5 minutes` is not a duration such as `30s`, `5m` or `1h30m`",
            "r.yml:4:10: `limit` is `many` (write a whole number; 0 is no limit)",
            "r.yml:5:3: a group has no field `rule` (did you mean `rules`?)",
            "r.yml:6:9: the group `g` is already in this file (give each group of a file a name of \
             its own)",
            "r.yml:8:13: `a{b=\"c\"}` is not the name of a series (write only the name here, and \
             labels under `labels`)",
            "r.yml:10:10: a recording rule can't have `for` (leave it out, or write `alert` in \
             place of `record`)",
            "r.yml:11:18: a recording rule can't have `annotations` (leave it out, or write \
             `alert` in place of `record`)",
            "r.yml:12:5: a rule has both `record: a` and `alert: A` (make two rules of it)",
            "r.yml:15:5: a rule has neither `record` nor `alert` (write one of them)",
            "r.yml:16:5: a rule has no expression (write `expr: …`)",
            "r.yml:18:16: this is not PromQL: unexpected end of the expression, an expression is due",
            "r.yml:19:14: `__name__` is not the name of one of the labels (use letters, digits and \
             underscores)",
            "r.yml:19:37: the label `severity` holds the sample's value (move it to an annotation: \
             with each value it would be another alert)",
            "r.yml:19:59: `list` is a list (write a text)",
            "r.yml:21:20: the template of `summary`: variable `$nope` is not defined",
            "r.yml:23:11: the expression of a rule yields a range vector (a rule needs an instant \
             vector or a scalar)",
            "r.yml:24:5: a rule has no field `exprs` (did you mean `expr`?)",
            "r.yml:25:10: `for`: `x` is not a duration such as `30s`, `5m` or `1h30m`",
        ],
    );
}

#[test]
fn mistakes_inside_blocks_stand_where_they_are() {
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up\n        + nope(up)\n    \
         annotations:\n      text: |-\n        one\n        two {{ nope }}\n",
        &[
            "r.yml:7:11: this is not PromQL: unknown function `nope`",
            "r.yml:11:16: the template of `text`: function `nope` is not defined",
        ],
    );
}

#[test]
fn a_mistake_in_a_group_label_is_told_once() {
    check(
        "groups:\n- name: g\n  labels: {team: '{{ oops'}\n  rules:\n  - {alert: A, expr: up}\n  - \
         {alert: B, expr: up}\n",
        &["r.yml:3:19: the template of `team`: an action is not closed by `}}`"],
    );
}

#[test]
fn a_key_that_is_written_twice_is_refused() {
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    alert: B\n    expr: up\n",
        &["r.yml:5:5: `alert` is written twice (the first is at line 4; keep one of them)"],
    );
}
