//! A template filled in for one sample.

use std::borrow::Cow;

use super::functions::{Arity, Function};
use super::notices;
use super::parse::Template;
use super::tree::{Binding, Command, Dialect, Node, Operand, Pipeline, Term};
use super::value::Value;
use crate::model::{Labels, Timestamp};

/// Longer output is an error.
const OUTPUT_MAX: usize = 64 * 1024;
/// More steps (nodes and operands, functions by weight, values by size) are an error.
const STEPS_MAX: usize = 50_000;
/// A notice is about many alerts, and made far less often than rules are evaluated.
const NOTICE_OUTPUT_MAX: usize = 512 * 1024;
const NOTICE_STEPS_MAX: usize = 500_000;

/// Named templates that call each other deeper than this are an error: about what fits on a stack.
const CALLS_MAX: usize = 64;

/// Answers `query`: the vector that an expression has at the time of the evaluation.
pub type Query<'a> = dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What a template is filled in with.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `$labels`: the sample's labels, the metric's name included.
    pub labels: &'a Labels,
    /// `$value`
    pub value: f64,
    /// `$externalLabels`
    pub external_labels: &'a Labels,
    /// `$externalURL`
    pub external_url: &'a str,
    /// `now`
    pub at: Timestamp,
    /// `query`
    pub query: &'a Query<'a>,
}

/// Fills in a template. An error takes the place of the text, as in Prometheus.
pub fn expand(template: &Template, scope: &Scope<'_>) -> String {
    if template.is_plain() {
        return template.text().to_owned();
    }
    execute(template, scope).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

/// Fills in a template of a notice with the notice's data; `at` is `now`. An error says what is
/// wrong.
pub fn fill(template: &Template, data: &Value, at: Timestamp) -> Result<String, String> {
    let (labels, query) = (Labels::empty(), |_: &str| Err("nothing can be asked here".to_owned()));
    let scope = Scope {
        labels: &labels,
        value: 0.0,
        external_labels: &labels,
        external_url: "",
        at,
        query: &query,
    };
    let variables = vec![(Cow::Borrowed(""), data.clone())];
    let mut run =
        Run { template, scope: &scope, variables, out: String::new(), steps: 0, calls: 0 };
    run.block(template.nodes(), data)?;
    Ok(run.out)
}

pub(super) fn execute(template: &Template, scope: &Scope<'_>) -> Result<String, String> {
    let variables = vec![
        (Cow::Borrowed(""), Value::Root),
        (Cow::Borrowed("labels"), Value::Labels(scope.labels.clone())),
        (Cow::Borrowed("externalLabels"), Value::Labels(scope.external_labels.clone())),
        (Cow::Borrowed("externalURL"), Value::text(scope.external_url)),
        (Cow::Borrowed("value"), Value::Float(scope.value)),
    ];
    let mut run = Run { template, scope, variables, out: String::new(), steps: 0, calls: 0 };
    run.block(template.nodes(), &Value::Root)?;
    Ok(run.out)
}

enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    template: &'a Template,
    scope: &'a Scope<'a>,
    variables: Vec<(Cow<'a, str>, Value)>,
    out: String,
    steps: usize,
    /// How many named templates are under way within each other.
    calls: usize,
}

impl Run<'_> {
    fn step(&mut self, weight: usize) -> Result<(), String> {
        self.steps += weight;
        let steps_max = match self.template.dialect() {
            Dialect::Rules => STEPS_MAX,
            Dialect::Notices => NOTICE_STEPS_MAX,
        };
        if self.steps > steps_max {
            return Err(format!("it takes more than {steps_max} steps"));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        let output_max = match self.template.dialect() {
            Dialect::Rules => OUTPUT_MAX,
            Dialect::Notices => NOTICE_OUTPUT_MAX,
        };
        if self.out.len() + text.len() > output_max {
            return Err(format!("its output is longer than {output_max} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let scope = self.variables.len();
        for node in nodes {
            self.step(1)?;
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.binding.is_none() {
                        self.step(value.weight())?;
                        self.write(&value.printed())?;
                    }
                }
                Node::If { arms, otherwise } => match self.branch(arms, otherwise, dot, false)? {
                    Flow::On => {}
                    flow => return Ok(flow),
                },
                Node::With { arms, otherwise } => match self.branch(arms, otherwise, dot, true)? {
                    Flow::On => {}
                    flow => return Ok(flow),
                },
                Node::Range { pipeline, body, otherwise } => {
                    match self.range(pipeline, body, otherwise, dot)? {
                        Flow::On => {}
                        flow => return Ok(flow),
                    }
                }
                Node::Named { name, data } => self.named(name, data.as_ref(), dot)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        // What a block declares ends with it; the declarations of the top end with the template.
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    /// Another template's text. Its `$` is the value that it is given.
    fn named(&mut self, name: &str, data: Option<&Pipeline>, dot: &Value) -> Result<(), String> {
        let data = match data {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Absent,
        };
        let template = self.template;
        let Some(nodes) = template.named(name) else {
            return Err(format!("the template `{name}` is not defined"));
        };
        self.calls += 1;
        if self.calls > CALLS_MAX {
            return Err(format!("templates call each other more than {CALLS_MAX} deep"));
        }
        let variables = vec![(Cow::Borrowed(""), data.clone())];
        let variables = std::mem::replace(&mut self.variables, variables);
        self.block(nodes, &data)?;
        self.variables = variables;
        self.calls -= 1;
        Ok(())
    }

    fn branch(
        &mut self,
        arms: &[(Pipeline, Vec<Node>)],
        otherwise: &[Node],
        dot: &Value,
        moves_dot: bool,
    ) -> Result<Flow, String> {
        let scope = self.variables.len();
        let mut chosen = None;
        for (condition, body) in arms {
            let value = self.pipeline(condition, dot)?;
            if value.is_true() {
                chosen = Some((body, value));
                break;
            }
        }
        let flow = match &chosen {
            Some((body, value)) if moves_dot => self.block(body, value),
            Some((body, _)) => self.block(body, dot),
            None => self.block(otherwise, dot),
        }?;
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, String> {
        let scope = self.variables.len();
        // The names are bound to each element, not to the whole.
        let unbound = Pipeline { binding: None, commands: pipeline.commands.clone() };
        let over = self.pipeline(&unbound, dot)?;
        self.step(over.weight())?;
        let entries = entries(&over)?;
        let mut is_empty = true;
        for (key, element) in entries {
            is_empty = false;
            self.step(1)?;
            if let Some(binding) = &pipeline.binding {
                let values = match binding.names.len() {
                    1 => vec![element.clone()],
                    _ => vec![key, element.clone()],
                };
                self.bind(binding, values);
            }
            let flow = self.block(body, &element)?;
            self.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        if is_empty {
            let flow = self.block(otherwise, dot)?;
            self.variables.truncate(scope);
            return Ok(flow);
        }
        Ok(Flow::On)
    }

    fn bind(&mut self, binding: &Binding, values: Vec<Value>) {
        for (name, value) in binding.names.iter().zip(values) {
            let existing = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match existing {
                Some((_, held)) if !binding.declares => *held = value,
                _ => self.variables.push((Cow::Owned(name.clone()), value)),
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        let value = last.unwrap_or(Value::Absent);
        if let Some(binding) = &pipeline.binding {
            self.bind(binding, vec![value.clone()]);
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        let Term::Function(function) = command.first.term else {
            return self.method(command, dot, piped);
        };
        if matches!(function.arity, Arity::Lazy) {
            return self.lazy(function, command, dot, piped);
        }
        let mut arguments = Vec::with_capacity(command.arguments.len() + 1);
        for argument in &command.arguments {
            arguments.push(self.operand(argument, dot)?);
        }
        arguments.extend(piped);
        self.call(function, &arguments)
    }

    /// An operand that is no function: one with arguments is a method of what stands before it.
    fn method(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        if command.arguments.is_empty() && piped.is_none() {
            return self.operand(&command.first, dot);
        }
        let mut owner = command.first.clone();
        let Some(name) = owner.fields.pop() else {
            return Err("only a function can take arguments".to_owned());
        };
        let owner = self.operand(&owner, dot)?;
        let mut arguments = Vec::with_capacity(command.arguments.len() + 1);
        for argument in &command.arguments {
            arguments.push(self.operand(argument, dot)?);
        }
        arguments.extend(piped);
        self.step(owner.weight())?;
        notices::method(&owner, &name, &arguments).unwrap_or_else(|| {
            let count = arguments.len();
            Err(format!("a {} has no method `{name}` of {count} arguments", owner.kind()))
        })
    }

    /// `and` and `or` look no further than they must.
    fn lazy(
        &mut self,
        function: &Function,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        let stops_at = function.name == "or";
        let mut last = None;
        for argument in &command.arguments {
            let value = self.operand(argument, dot)?;
            if value.is_true() == stops_at {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| format!("`{}` needs an argument", function.name))
    }

    fn call(&mut self, function: &Function, arguments: &[Value]) -> Result<Value, String> {
        self.step(function.weight)?;
        // One by one: what is nested and shared weighs many times what it takes.
        for argument in arguments {
            self.step(argument.weight())?;
        }
        let count = arguments.len();
        let fits = match function.arity {
            Arity::Exactly(number) => count == number,
            Arity::AtLeast(number) => count >= number,
            Arity::Lazy => count >= 1,
        };
        if !fits {
            return Err(format!("`{}` can't take {count} arguments", function.name));
        }
        let is_rule = self.template.dialect() == Dialect::Rules;
        let value = (function.run)(self.scope, arguments)
            .map_err(|error| format!("`{}`: {error}", function.name))?;
        match &value {
            Value::Text(text)
                if text.len() > NOTICE_OUTPUT_MAX || (is_rule && text.len() > OUTPUT_MAX) =>
            {
                Err(format!("`{}` makes too many bytes", function.name))
            }
            _ => Ok(value),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        self.step(1)?;
        let mut value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map_or(Value::Absent, |(_, value)| value.clone()),
            Term::Function(function) => self.call(function, &[])?,
            Term::Literal(value) => value.clone(),
            Term::Pipeline(pipeline) => {
                let scope = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                self.variables.truncate(scope);
                value
            }
        };
        for field in &operand.fields {
            value = match self.template.dialect() {
                Dialect::Rules => self.field(&value, field)?,
                Dialect::Notices => match notices::method(&value, field, &[]) {
                    Some(said) => {
                        self.step(1 + value.weight() / 8)?;
                        said?
                    }
                    None => self.field(&value, field)?,
                },
            };
        }
        Ok(value)
    }

    fn field(&self, value: &Value, name: &str) -> Result<Value, String> {
        match (value, name) {
            (Value::Root, "Labels") => Ok(Value::Labels(self.scope.labels.clone())),
            (Value::Root, "ExternalLabels") => {
                Ok(Value::Labels(self.scope.external_labels.clone()))
            }
            (Value::Root, "ExternalURL") => Ok(Value::text(self.scope.external_url)),
            (Value::Root, "Value") => Ok(Value::Float(self.scope.value)),
            (Value::Sample(labels, _), "Labels") => Ok(Value::Labels(labels.clone())),
            (Value::Sample(_, value), "Value") => Ok(Value::Float(*value)),
            // A label that is missing is the empty text: `missingkey=zero`.
            (Value::Labels(labels), name) => Ok(Value::text(labels.get(name).unwrap_or_default())),
            (Value::Map(entries), name) => Ok(entries.get(name).cloned().unwrap_or(Value::Absent)),
            (Value::Record(record), name) if record.field(name).is_some() => {
                Ok(record.field(name).cloned().unwrap_or(Value::Absent))
            }
            (Value::Absent, name) => Err(format!("nothing has the field `{name}`")),
            (value, name) => Err(format!("a {} has no field `{name}`", value.kind())),
        }
    }
}

fn entries(over: &Value) -> Result<Vec<(Value, Value)>, String> {
    let numbered = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
    match over {
        Value::Absent => Ok(Vec::new()),
        Value::List(samples) => Ok(samples
            .iter()
            .enumerate()
            .map(|(at, (labels, value))| (numbered(at), Value::Sample(labels.clone(), *value)))
            .collect()),
        Value::Labels(labels) => Ok(labels
            .iter()
            .map(|label| (Value::Text(label.name.clone()), Value::Text(label.value.clone())))
            .collect()),
        Value::Map(entries) => Ok(entries
            .iter()
            .map(|(key, value)| (Value::text(key.as_str()), value.clone()))
            .collect()),
        Value::Array(items) => {
            Ok(items.iter().enumerate().map(|(at, item)| (numbered(at), item.clone())).collect())
        }
        Value::Int(number) => {
            let count = usize::try_from(*number).unwrap_or(0);
            if count > STEPS_MAX {
                return Err(format!("`range` over {count} takes more than {STEPS_MAX} steps"));
            }
            Ok((0..count).map(|at| (numbered(at), numbered(at))).collect())
        }
        other => Err(format!("`range` can't walk over a {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn fill(text: &str) -> String {
        let labels = Labels::from_pairs([
            ("__name__", "m"),
            ("instance", "host.example.org:9090"),
            ("job", "a<b"),
        ]);
        let external_labels = Labels::from_pairs([("region", "eu")]);
        let query = |expression: &str| match expression {
            "up" => Ok(vec![
                (Labels::from_pairs([("__name__", "up"), ("job", "z")]), 1.0),
                (Labels::from_pairs([("__name__", "up"), ("job", "b"), ("__value__", "v")]), 0.5),
            ]),
            "none" => Ok(Vec::new()),
            _ => Err("no such thing".to_owned()),
        };
        let scope = Scope {
            labels: &labels,
            value: 0.138_72,
            external_labels: &external_labels,
            external_url: "http://bell.example:9464/wether",
            at: Timestamp::from_millis(1_234_567_890_500),
            query: &query,
        };
        expand(&parse(text).unwrap(), &scope)
    }

    // Expected values: Prometheus's template tests and Go's text/template documentation, restated
    // by hand; the same file of cases is put before promtool in tests/rules.
    #[test]
    fn templates_are_filled_as_prometheus_fills_them() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("{{ $value }}", "0.13872"),
            ("{{ .Value }} {{ $.Value }}", "0.13872 0.13872"),
            ("{{ $labels.instance }}|{{ $labels.nope }}|", "host.example.org:9090||"),
            ("{{ .Labels.job }} {{ $externalLabels.region }}", "a<b eu"),
            (
                "{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
                "http://bell.example:9464/wether http://bell.example:9464/wether /wether",
            ),
            ("{{ $value | humanizePercentage }}", "13.87%"),
            ("{{ printf \"%.1f\" $value }}", "0.1"),
            ("{{ if gt $value 0.1 }}high{{ else }}low{{ end }}", "high"),
            ("{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}", "b"),
            ("{{ range query \"up\" }}{{ .Labels.job }}={{ .Value }};{{ end }}", "z=1;b=0.5;"),
            ("{{ range $i, $s := query \"up\" }}{{ $i }}:{{ $s.Value }} {{ end }}", "0:1 1:0.5 "),
            ("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"),
            ("{{ query \"up\" | first | value }}", "1"),
            ("{{ query \"up\" | sortByLabel \"job\" | first | label \"job\" }}", "b"),
            ("{{ query \"up\" | sortByLabel \"job\" | first | strvalue }}", "v"),
            ("{{ (query \"up\" | first).Labels.job }}", "z"),
            ("{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}", "1"),
            ("{{ with query \"none\" }}x{{ else }}y{{ end }}", "y"),
            ("{{ range $k, $v := $labels }}{{ $k }} {{ end }}", "__name__ instance job "),
            ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
            ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
            ("{{ range 3 }}{{ . }}{{ if eq . 1 }}{{ break }}{{ end }}{{ end }}", "01"),
            ("{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "02"),
            ("{{ and 1 0 2 }} {{ or 0 \"\" \"x\" }} {{ not 1 }}", "0 x false"),
            ("{{ if and false (query \"bad\") }}x{{ end }}ok", "ok"),
            ("{{ len $labels }} {{ index $labels \"job\" }}", "3 a<b"),
            ("{{ (index (query \"up\") 1).Value }}", "0.5"),
            (
                "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
                "host.example.org host:9090",
            ),
            ("{{ now }}", "1.2345678905e+09"),
            ("{{ args 1 \"b\" }}", "map[arg0:1 arg1:b]"),
            ("{{ (args 1 \"b\").arg1 }}{{ (args 1).arg7 }}", "b<no value>"),
            ("{{ $labels }}", "map[__name__:m instance:host.example.org:9090 job:a<b]"),
            ("{{ html $labels.job }} {{ urlquery \"a b&c\" }}", "a&lt;b a+b%26c"),
            ("a {{- 1 -}} b", "a1b"),
        ] {
            assert_eq!(fill(text), expected, "{text}");
        }
    }

    #[test]
    fn an_error_takes_the_place_of_the_text() {
        for (text, part) in [
            ("{{ query \"bad\" }}", "no such thing"),
            ("{{ query \"none\" | first }}", "no elements"),
            ("{{ .Nope }}", "has no field `Nope`"),
            ("{{ $value.x }}", "has no field `x`"),
            ("{{ humanize \"x\" }}", "not a number"),
            ("{{ gt $value 1 }}", "can't compare"),
            ("{{ toUpper $value }}", "needs a text"),
            ("{{ match \"(\" \"x\" }}", "regular expression"),
            ("{{ index (query \"up\") 5 }}", "out of range"),
            ("{{ humanize }}", "can't take 0 arguments"),
            ("{{ range $value }}{{ end }}", "can't walk over"),
        ] {
            let filled = fill(text);
            assert!(filled.starts_with("<error expanding template: "), "{text}: {filled}");
            assert!(filled.contains(part), "{text}: {filled}");
        }
    }

    #[test]
    fn work_and_output_are_bounded() {
        for text in [
            "{{ range 40000 }}{{ range 40000 }}x{{ end }}{{ end }}",
            "{{ range 40000 }}0123456789{{ end }}",
            "{{ $x := \"ab\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}{{ $x }}",
            "{{ $x := args 1 }}{{ range 9999 }}{{ $x = args $x }}{{ end }}{{ $x }}",
            "{{ range 1000000000 }}{{ end }}",
            "{{ range 9000 }}{{ $x := query \"up\" }}{{ end }}",
            "{{ $x := printf \"%4000s\" \"\" }}{{ range 9000 }}{{ $x = toUpper $x }}{{ end }}",
            "{{ $x := printf \"%4000s\" \"\" }}{{ reReplaceAll \" \" $x $x }}",
        ] {
            let filled = fill(text);
            assert!(filled.starts_with("<error expanding template: "), "{text}: {filled:.80}");
        }
    }
}
