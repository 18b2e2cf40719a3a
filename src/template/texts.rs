//! The texts that stand in a template as literals: among them are the queries that it asks.

use super::parse::Template;
use super::tree::{Node, Pipeline, Term};
use super::value::Value;

impl Template {
    /// Every literal text of its actions, in no order that means anything.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        self.blocks().chain([self.nodes()]).for_each(|nodes| of_nodes(nodes, &mut texts));
        texts
    }
}

fn of_nodes<'a>(nodes: &'a [Node], texts: &mut Vec<&'a str>) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Action(pipeline) => of_pipeline(pipeline, texts),
            Node::If { arms, otherwise } | Node::With { arms, otherwise } => {
                for (pipeline, body) in arms {
                    of_pipeline(pipeline, texts);
                    of_nodes(body, texts);
                }
                of_nodes(otherwise, texts);
            }
            Node::Range { pipeline, body, otherwise } => {
                of_pipeline(pipeline, texts);
                of_nodes(body, texts);
                of_nodes(otherwise, texts);
            }
            Node::Named { data, .. } => {
                data.iter().for_each(|pipeline| of_pipeline(pipeline, texts));
            }
        }
    }
}

fn of_pipeline<'a>(pipeline: &'a Pipeline, texts: &mut Vec<&'a str>) {
    for command in &pipeline.commands {
        for operand in std::iter::once(&command.first).chain(&command.arguments) {
            match &operand.term {
                Term::Literal(Value::Text(text)) => texts.push(text),
                Term::Pipeline(inner) => of_pipeline(inner, texts),
                Term::Dot | Term::Variable(_) | Term::Function(_) | Term::Literal(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn queries_are_found_wherever_they_stand() {
        let template = parse(
            "{{ define \"d\" }}{{ query \"one\" }}{{ end }}text {{ if gt 1.0 2.0 }}\
             {{ range query `two` }}x{{ else }}{{ with query (printf \"three{a=%q}\" .Value) }}y\
             {{ end }}{{ end }}{{ end }}",
        )
        .unwrap();
        let mut texts = template.texts();
        texts.sort_unstable();
        assert_eq!(texts, ["one", "three{a=%q}", "two"]);
    }
}
