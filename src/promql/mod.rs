//! Not built yet: promql.
