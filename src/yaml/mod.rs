//! Not built yet: yaml.
