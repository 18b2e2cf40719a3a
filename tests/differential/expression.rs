//! An expression as a tree of texts, so that a failing one can be cut smaller.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    Vector,
    Matrix,
    Text,
}

/// What of a result Prometheus leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Open,
    /// `sort`: the values' order counts; equal values stand in any order.
    Sorted,
    /// `topk`: the values' order counts; which of equal values are chosen is left open.
    Ranked,
    /// `topk` by groups: so is which group comes first.
    RankedByGroup,
}

#[derive(Clone, Debug)]
pub struct Expression {
    pub kind: Kind,
    pub order: Order,
    /// Whether Go's and the C library's mathematics may differ in the last place here.
    is_close: bool,
    /// The text before, between and after the children.
    parts: Vec<String>,
    children: Vec<Expression>,
}

impl Expression {
    pub fn leaf(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            order: Order::Open,
            is_close: false,
            parts: vec![text.into()],
            children: Vec::new(),
        }
    }

    /// The template has a `{}` for each child.
    pub fn node(kind: Kind, template: &str, children: Vec<Self>) -> Self {
        let parts: Vec<String> = template.split("{}").map(str::to_owned).collect();
        assert_eq!(parts.len(), children.len() + 1, "`{template}` has a place for each child");
        Self { kind, order: Order::Open, is_close: false, parts, children }
    }

    pub fn close(self) -> Self {
        self.close_if(true)
    }

    pub fn close_if(self, is_close: bool) -> Self {
        Self { is_close, ..self }
    }

    pub fn ordered(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Whether any part is close only.
    pub fn is_close(&self) -> bool {
        self.is_close || self.children.iter().any(Self::is_close)
    }

    fn descendants(&self) -> Vec<&Self> {
        let below = self.children.iter().flat_map(|child| child.descendants());
        self.children.iter().chain(below).collect()
    }

    fn replacements(&self) -> Vec<Self> {
        let mut found: Vec<Self> = self
            .descendants()
            .into_iter()
            .filter(|descendant| descendant.kind == self.kind)
            .cloned()
            .collect();
        if self.kind == Kind::Scalar && !self.children.is_empty() {
            found.push(Self::leaf(Kind::Scalar, "1"));
        }
        for (position, child) in self.children.iter().enumerate() {
            for replacement in child.replacements() {
                let mut smaller = self.clone();
                smaller.children[position] = replacement;
                found.push(smaller);
            }
        }
        found
    }

    /// Smaller expressions made of parts of this one, the smallest first.
    pub fn smaller(&self) -> Vec<Self> {
        let parts = self.descendants().into_iter().filter(|part| part.kind != Kind::Text).cloned();
        let mut found: Vec<Self> = parts.chain(self.replacements()).collect();
        found.sort_by_key(|part| part.to_string().len());
        found.dedup_by_key(|part| part.to_string());
        found
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, child) in self.parts.iter().zip(&self.children) {
            write!(formatter, "{part}{child}")?;
        }
        formatter.write_str(self.parts.last().map_or("", String::as_str))
    }
}
