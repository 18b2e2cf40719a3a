//! A template's tokens as a tree, with every name checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::functions;
use super::library::{Library, called};
use super::token::{self, Lexeme, TemplateError, Token};
use super::tree::{Binding, Command, Dialect, Node, Operand, Pipeline, Term};
use super::value::Value;

/// Longer templates are refused.
const TEXT_MAX: usize = 64 * 1024;
/// Deeper nesting of blocks and parentheses is refused, so that no recursion runs away.
const DEPTH_MAX: usize = 32;

/// The variables that every rule's template begins with.
pub(super) const VARIABLES: [&str; 5] = ["", "labels", "externalLabels", "externalURL", "value"];

/// A template that was read and found good. Cloning is one reference count.
#[derive(Clone)]
pub struct Template(Arc<Parsed>);

struct Parsed {
    text: String,
    nodes: Vec<Node>,
    /// What `define` and `block` name.
    named: BTreeMap<String, Vec<Node>>,
    prints_value: bool,
    dialect: Dialect,
    library: Library,
}

impl Template {
    /// A text that stands as it is, braces and all.
    pub fn plain(text: &str) -> Self {
        Self(Arc::new(Parsed {
            text: text.to_owned(),
            nodes: vec![Node::Text(text.to_owned())],
            named: BTreeMap::new(),
            prints_value: false,
            dialect: Dialect::Notices,
            library: Library::default(),
        }))
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it is plain text, the same for every sample.
    pub fn is_plain(&self) -> bool {
        self.0.nodes.iter().all(|node| matches!(node, Node::Text(_)))
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    pub(super) fn named(&self, name: &str) -> Option<&[Node]> {
        self.0.named.get(name).map(Vec::as_slice).or_else(|| self.0.library.named(name))
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// The bodies of what `define` and `block` name.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[Node]> {
        self.0.named.values().map(Vec::as_slice)
    }

    /// Whether it prints the sample's value, which no label of an alert may do: the alert would be
    /// another one at each evaluation. A condition on the value is no print.
    pub fn prints_value(&self) -> bool {
        self.0.prints_value
    }
}

/// Equal when written alike.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0.text)
    }
}

/// Reads a template of a rule.
pub fn parse(text: &str) -> Result<Template, TemplateError> {
    let (nodes, named, prints_value) = read(text, Dialect::Rules)?;
    let (text, dialect, library) = (text.to_owned(), Dialect::Rules, Library::default());
    Ok(Template(Arc::new(Parsed { text, nodes, named, prints_value, dialect, library })))
}

/// Reads a template of a notice, which may name the templates of a library. Naming one that nobody
/// defines is an error.
pub fn parse_notice(text: &str, library: &Library) -> Result<Template, TemplateError> {
    let dialect = Dialect::Notices;
    let (nodes, named, prints_value) = read(text, dialect)?;
    let (text, library) = (text.to_owned(), library.clone());
    let parsed = Parsed { text, nodes, named, prints_value, dialect, library };
    let template = Template(Arc::new(parsed));
    for name in template.blocks().chain([template.nodes()]).flat_map(called) {
        if template.named(name).is_none() {
            let text = template.text();
            let written = [format!("\"{name}\""), format!("`{name}`")];
            let at = written.iter().find_map(|name| text.find(name)).unwrap_or_default();
            let message = format!("the template `{name}` is not defined");
            return Err(TemplateError::at(template.text(), at, message));
        }
    }
    Ok(template)
}

/// What a file of templates for notices defines.
pub(super) fn definitions(text: &str) -> Result<BTreeMap<String, Vec<Node>>, TemplateError> {
    read(text, Dialect::Notices).map(|(_, named, _)| named)
}

type Tree = (Vec<Node>, BTreeMap<String, Vec<Node>>, bool);

fn read(text: &str, dialect: Dialect) -> Result<Tree, TemplateError> {
    if text.len() > TEXT_MAX {
        let message = format!("a template is longer than {TEXT_MAX} bytes");
        return Err(TemplateError::at(text, 0, message));
    }
    let mut parser = Parser {
        text,
        lexemes: token::lex(text)?,
        at: 0,
        dialect,
        variables: match dialect {
            Dialect::Rules => VARIABLES.map(str::to_owned).to_vec(),
            Dialect::Notices => vec![String::new()],
        },
        named: BTreeMap::new(),
        depth: 0,
        loops: 0,
        prints_value: false,
        is_condition: false,
    };
    let (nodes, end) = parser.block()?;
    match end {
        Stop::Text => Ok((nodes, parser.named, parser.prints_value)),
        Stop::End => parser.fail("`{{end}}` closes nothing"),
        Stop::Else => parser.fail("`{{else}}` belongs to nothing"),
    }
}

/// What ended a block.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    Text,
    End,
    /// `{{else`, with whatever follows it unread.
    Else,
}

struct Parser<'a> {
    text: &'a str,
    dialect: Dialect,
    lexemes: Vec<Lexeme>,
    at: usize,
    variables: Vec<String>,
    named: BTreeMap<String, Vec<Node>>,
    depth: usize,
    loops: usize,
    prints_value: bool,
    is_condition: bool,
}

type Read<T> = Result<T, TemplateError>;

impl Parser<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Read<T> {
        self.fail_at(self.at, message)
    }

    fn fail_at<T>(&self, index: usize, message: impl Into<String>) -> Read<T> {
        let offset = self.lexemes.get(index).map_or(self.text.len(), |lexeme| lexeme.at);
        Err(TemplateError::at(self.text, offset, message))
    }

    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn next_is(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        if is {
            self.at += 1;
        }
        is
    }

    fn skip_space(&mut self) {
        while self.next_is(&Token::Space) {}
    }

    fn word(&mut self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Some(word)
            }
            _ => None,
        }
    }

    fn close(&mut self) -> Read<()> {
        self.skip_space();
        if self.next_is(&Token::Close) { Ok(()) } else { self.fail("`}}` is missing here") }
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("nesting is deeper than {DEPTH_MAX}"));
        }
        Ok(())
    }

    fn block(&mut self) -> Read<(Vec<Node>, Stop)> {
        self.deeper()?;
        let mut nodes = Vec::new();
        let end = loop {
            match self.peek() {
                None => break Stop::Text,
                Some(Token::Text(text)) => {
                    nodes.push(Node::Text(text.clone()));
                    self.at += 1;
                }
                Some(_) => {
                    let start = self.at;
                    self.at += 1;
                    self.skip_space();
                    let before = self.at;
                    match self.word().as_deref() {
                        Some("end") => {
                            self.close()?;
                            break Stop::End;
                        }
                        Some("else") => break Stop::Else,
                        Some("if") => nodes.push(self.branch(start, "if")?),
                        Some("with") => nodes.push(self.branch(start, "with")?),
                        Some("range") => nodes.push(self.range(start)?),
                        Some(word @ ("break" | "continue")) => {
                            if self.loops == 0 {
                                return self
                                    .fail_at(before, format!("`{word}` outside of `range`"));
                            }
                            self.close()?;
                            let is_break = word == "break";
                            nodes.push(if is_break { Node::Break } else { Node::Continue });
                        }
                        Some("define") if self.depth > 1 => {
                            let message = "`define` can't stand inside another block";
                            return self.fail_at(before, message);
                        }
                        Some("define") => self.define(start)?,
                        Some("template") => nodes.push(self.named(start, "template")?),
                        Some("block") => nodes.push(self.named(start, "block")?),
                        _ => {
                            self.at = before;
                            let pipeline = self.pipeline(1, &Token::Close)?;
                            nodes.push(Node::Action(pipeline));
                        }
                    }
                }
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    /// `if` and `with`, after the word.
    fn branch(&mut self, start: usize, word: &str) -> Read<Node> {
        let scope = self.variables.len();
        let mut arms = Vec::new();
        let otherwise = loop {
            let condition = self.condition(1)?;
            let (body, end) = self.block()?;
            arms.push((condition, body));
            match end {
                Stop::Text => return self.fail_at(start, format!("`{word}` has no `{{{{end}}}}`")),
                Stop::End => break Vec::new(),
                Stop::Else => {
                    self.skip_space();
                    let before = self.at;
                    match self.word() {
                        Some(next) if next == word => {}
                        Some(_) => return self.fail_at(before, "only one `else` may stand here"),
                        None => {
                            self.close()?;
                            break self.last_block(start, word)?;
                        }
                    }
                }
            }
        };
        self.variables.truncate(scope);
        let is_if = word == "if";
        Ok(if is_if { Node::If { arms, otherwise } } else { Node::With { arms, otherwise } })
    }

    fn last_block(&mut self, start: usize, word: &str) -> Read<Vec<Node>> {
        match self.block()? {
            (nodes, Stop::End) => Ok(nodes),
            (_, Stop::Else) => self.fail(format!("`{word}` has two `{{{{else}}}}`")),
            (_, Stop::Text) => self.fail_at(start, format!("`{word}` has no `{{{{end}}}}`")),
        }
    }

    fn range(&mut self, start: usize) -> Read<Node> {
        let scope = self.variables.len();
        let pipeline = self.condition(2)?;
        self.loops += 1;
        let (body, end) = self.block()?;
        self.loops -= 1;
        let otherwise = match end {
            Stop::Text => return self.fail_at(start, "`range` has no `{{end}}`"),
            Stop::End => Vec::new(),
            Stop::Else => {
                self.close()?;
                self.last_block(start, "range")?
            }
        };
        self.variables.truncate(scope);
        Ok(Node::Range { pipeline, body, otherwise })
    }

    /// `define`, after the word.
    fn define(&mut self, start: usize) -> Read<()> {
        let name = self.name("define")?;
        self.close()?;
        self.body(start, "define", name)
    }

    /// `template` and `block`, after the word.
    fn named(&mut self, start: usize, word: &str) -> Read<Node> {
        let name = self.name(word)?;
        self.skip_space();
        let data = match self.next_is(&Token::Close) {
            true if word == "block" => return self.fail("`block` needs a value"),
            true => None,
            false => Some(self.pipeline(1, &Token::Close)?),
        };
        if word == "block" {
            self.body(start, word, name.clone())?;
        }
        Ok(Node::Named { name, data })
    }

    fn name(&mut self, word: &str) -> Read<String> {
        self.skip_space();
        match self.peek() {
            Some(Token::Str(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.fail(format!("`{word}` needs a name in quotes")),
        }
    }

    /// What a named template holds. It sees none of the variables around it, but for `$`, which is
    /// the value that it is given.
    fn body(&mut self, start: usize, word: &str, name: String) -> Read<()> {
        let variables = std::mem::replace(&mut self.variables, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let nodes = self.last_block(start, word)?;
        (self.variables, self.loops) = (variables, loops);
        let is_empty = |nodes: &[Node]| {
            nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.named.get(&name) {
            Some(held) if !is_empty(held) && !is_empty(&nodes) => {
                self.fail_at(start, format!("the template `{name}` is defined twice"))
            }
            Some(held) if !is_empty(held) => Ok(()),
            _ => {
                self.named.insert(name, nodes);
                Ok(())
            }
        }
    }

    /// What decides over a block.
    fn condition(&mut self, names_max: usize) -> Read<Pipeline> {
        self.is_condition = true;
        let pipeline = self.pipeline(names_max, &Token::Close)?;
        self.is_condition = false;
        Ok(pipeline)
    }

    /// Reads up to and with `end`.
    fn pipeline(&mut self, names_max: usize, end: &Token) -> Read<Pipeline> {
        self.deeper()?;
        self.skip_space();
        let binding = self.binding(names_max)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            self.skip_space();
            let before = self.at;
            let first = self.operand()?;
            let Some(first) = first else {
                return self.fail("an operand is missing here");
            };
            if !commands.is_empty() && !self.is_callable(&first) {
                return self.fail_at(before, "only a function can stand after `|`");
            }
            let mut arguments = Vec::new();
            while self.next_is(&Token::Space) {
                self.skip_space();
                match self.operand()? {
                    Some(argument) => arguments.push(argument),
                    None => break,
                }
            }
            if !arguments.is_empty() && !self.is_callable(&first) {
                return self.fail_at(before, "only a function can take arguments");
            }
            commands.push(Command { first, arguments });
            if self.next_is(end) {
                break;
            }
            if !self.next_is(&Token::Pipe) {
                return self.fail("this can't stand here");
            }
        }
        if let Some(binding) = binding.as_ref().filter(|binding| binding.declares) {
            self.variables.extend(binding.names.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline { binding, commands })
    }

    /// A function, or in notices what may be a method.
    fn is_callable(&self, operand: &Operand) -> bool {
        let may_be_method = self.dialect == Dialect::Notices && !operand.fields.is_empty();
        may_be_method || matches!(operand.term, Term::Function(_))
    }

    fn binding(&mut self, names_max: usize) -> Read<Option<Binding>> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek() {
            names.push(name.clone());
            self.at += 1;
            self.skip_space();
            let declares = self.next_is(&Token::Declare);
            if declares || self.next_is(&Token::Assign) {
                if names.iter().any(String::is_empty) {
                    return self.fail_at(start, "`$` can't be set");
                }
                if let Some(name) =
                    names.iter().find(|name| !declares && !self.variables.contains(name))
                {
                    return self.fail_at(start, format!("variable `${name}` is not defined"));
                }
                return Ok(Some(Binding { names, declares }));
            }
            if names.len() >= names_max || !self.next_is(&Token::Comma) {
                break;
            }
            self.skip_space();
        }
        self.at = start;
        Ok(None)
    }

    fn operand(&mut self) -> Read<Option<Operand>> {
        let before = self.at;
        let Some((term, mut fields)) = self.term()? else {
            self.at = before;
            return Ok(None);
        };
        let may_chain = !fields.is_empty() || matches!(term, Term::Variable(_) | Term::Pipeline(_));
        while let Some(Token::Field(name)) = self.peek() {
            if !may_chain {
                return self.fail("a field can't stand here");
            }
            fields.push(name.clone());
            self.at += 1;
        }
        // At the top `.` and `$` are the template's data; deeper down `.Value` may be a sample's,
        // which is just as changeable.
        let is_value = match &term {
            Term::Dot => fields.first().is_some_and(|field| field == "Value"),
            Term::Variable(name) if name.is_empty() => fields.first().is_some_and(|f| f == "Value"),
            Term::Variable(name) => name == "value",
            Term::Function(_) | Term::Literal(_) | Term::Pipeline(_) => false,
        };
        self.prints_value |= is_value && !self.is_condition;
        match self.peek() {
            None | Some(Token::Space | Token::Pipe | Token::Close | Token::RightParen) => {}
            Some(_) => return self.fail("white space or `|` is missing here"),
        }
        Ok(Some(Operand { term, fields }))
    }

    /// The next token as a term, with the field that it begins with.
    fn term(&mut self) -> Read<Option<(Term, Vec<String>)>> {
        let before = self.at;
        let Some(token) = self.peek().cloned() else { return Ok(None) };
        self.at += 1;
        let mut fields = Vec::new();
        let term = match token {
            Token::Dot => Term::Dot,
            Token::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Token::Variable(name) if self.variables.contains(&name) => Term::Variable(name),
            Token::Variable(name) => {
                return self.fail_at(before, format!("variable `${name}` is not defined"));
            }
            Token::LeftParen => Term::Pipeline(Box::new(self.pipeline(1, &Token::RightParen)?)),
            Token::Word(word) => match word.as_str() {
                "true" => Term::Literal(Value::Bool(true)),
                "false" => Term::Literal(Value::Bool(false)),
                "nil" => Term::Literal(Value::Absent),
                name => match functions::find(self.dialect, name) {
                    Some(function) => Term::Function(function),
                    None => {
                        return self.fail_at(before, format!("function `{name}` is not defined"));
                    }
                },
            },
            Token::Str(text) => Term::Literal(Value::text(text)),
            Token::Int(number) => Term::Literal(Value::Int(number)),
            Token::Float(number) => Term::Literal(Value::Float(number)),
            Token::Text(_)
            | Token::Open
            | Token::Close
            | Token::Space
            | Token::Pipe
            | Token::RightParen
            | Token::Comma
            | Token::Declare
            | Token::Assign => return Ok(None),
        };
        Ok(Some((term, fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_templates_are_read() {
        for text in [
            "",
            "plain",
            "{{ $labels.instance }} of {{ .Labels.job }}",
            "{{ $value | humanizePercentage }}",
            "{{ if gt $value 0.5 }}a{{ else if eq 1 2 }}b{{ else }}c{{ end }}",
            "{{ range $i, $v := query \"up\" }}{{ $i }}{{ .Labels.job }}{{ else }}none{{ end }}",
            "{{ with $x := query \"up\" | first }}{{ $x.Value }}{{ end }}",
            "{{ (query \"up\" | first).Value | printf \"%.2f\" }}",
            "{{ $x := 1 }}{{ $x = 2 }}{{ $x }}",
            "{{ range query \"up\" }}{{ break }}{{ end }}",
            "{{- /* note */ -}}",
            "{{ printf \"%s\" ( print \"a\" ) }}",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn bad_templates_are_refused_with_their_place() {
        for (text, line, column, part) in [
            ("{{ $nope }}", 1, 4, "`$nope` is not defined"),
            ("a\n{{ nope 1 }}", 2, 4, "`nope` is not defined"),
            ("{{ if true }}x", 1, 1, "no `{{end}}`"),
            ("x{{ end }}", 1, 11, "closes nothing"),
            ("{{ if }}x{{ end }}", 1, 7, "operand is missing"),
            ("{{ }}", 1, 4, "operand is missing"),
            ("{{ 1 | 2 }}", 1, 8, "only a function"),
            ("{{ $value 2 }}", 1, 4, "only a function can take arguments"),
            ("{{ template x }}", 1, 13, "needs a name in quotes"),
            ("{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}", 1, 17, "inside another block"),
            ("{{ define \"x\" }}{{ $value }}{{ end }}", 1, 20, "is not defined"),
            ("{{ define \"x\" }}a{{ end }}{{ define \"x\" }}b{{ end }}", 1, 27, "defined twice"),
            ("{{ break }}", 1, 4, "outside of `range`"),
            ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 1, 39, "`$x` is not defined"),
            ("{{ ( 1 }}", 1, 8, "can't stand here"),
            ("{{ $x = 1 }}", 1, 4, "`$x` is not defined"),
            ("{{ \"a\"\"b\" }}", 1, 7, "white space"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
        let deep = "{{ if true }}".repeat(100) + &"{{ end }}".repeat(100);
        assert!(parse(&deep).unwrap_err().message.contains("deeper"));
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(1000), ")".repeat(1000));
        assert!(parse(&deep).unwrap_err().message.contains("deeper"));
    }

    #[test]
    fn printing_the_value_is_noticed() {
        for (text, expected) in [
            ("{{ $value }}", true),
            ("{{ .Value }}", true),
            ("{{ $.Value }}", true),
            ("{{ printf \"%f\" $value }}", true),
            ("{{ if gt $value 1.0 }}{{ $value }}{{ end }}", true),
            ("{{ if gt $value 1.0 }}critical{{ else if gt .Value 0.5 }}warning{{ end }}", false),
            ("{{ $labels.Value }}", false),
            ("{{ $labels.value }} value", false),
        ] {
            assert_eq!(parse(text).unwrap().prints_value(), expected, "{text}");
        }
    }
}
