//! `label_replace` and `label_join`.

use std::sync::Arc;

use super::super::EvalError;
use super::super::plan::{LabelReplace, PartId};
use super::block::{Block, Naming, Row};
use super::{Evaluation, Grid};
use crate::model::{Label, Labels};

impl Evaluation<'_> {
    pub(super) fn label_replace(
        &mut self,
        replace: &LabelReplace,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let regex = replace.regex.as_ref().map_err(|why| EvalError::Regex(why.clone()))?;
        check_target("label_replace", &replace.target)?;
        let block = self.vector(replace.vector, grid)?;
        let mut value = String::new();
        // Each group that is put in is a part of the source.
        let groups = replace.replacement.matches('$').count();
        self.relabel(block, &replace.target, |row, naming| {
            let source = row.get(&replace.source, naming);
            let Some(captures) = regex.captures(source) else { return Ok(None) };
            self.budget.label(replace.replacement.len() + groups.saturating_mul(source.len()))?;
            value.clear();
            captures.expand(&replace.replacement, &mut value);
            Ok(Some(Arc::from(value.as_str())))
        })
    }

    pub(super) fn label_join(
        &mut self,
        vector: PartId,
        target: &Arc<str>,
        separator: &str,
        sources: &[Arc<str>],
        grid: Grid,
    ) -> Result<Block, EvalError> {
        check_target("label_join", target)?;
        let block = self.vector(vector, grid)?;
        self.relabel(block, target, |row, naming| {
            let values: Vec<&str> = sources.iter().map(|source| row.get(source, naming)).collect();
            let length = values.iter().map(|value| value.len() + separator.len()).sum();
            self.budget.label(length)?;
            Ok(Some(Arc::from(values.join(separator))))
        })
    }

    /// Sets a label of each row to what `value` says, if it says anything.
    fn relabel(
        &self,
        mut block: Block,
        target: &Arc<str>,
        mut value: impl FnMut(&Row, Naming) -> Result<Option<Arc<str>>, EvalError>,
    ) -> Result<Block, EvalError> {
        let naming = self.naming;
        for row in &mut block.rows {
            let Some(value) = value(row, naming)? else { continue };
            let kept = row.view(naming).iter().filter(|label| label.name != *target).cloned();
            let labels = kept.chain([Label { name: Arc::clone(target), value }]).collect();
            // A name that is set here is no longer to fall; a hidden one is gone for good.
            let drops_name = row.drops_name && naming.is_delayed && **target != *Labels::NAME;
            *row = Row { labels, drops_name };
        }
        block.unify(naming, EvalError::SameLabelset)
    }
}

fn check_target(function: &'static str, target: &str) -> Result<(), EvalError> {
    if target.is_empty() {
        return Err(EvalError::DestinationLabel { function, name: target.to_owned() });
    }
    Ok(())
}
