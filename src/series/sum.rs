//! A sum that keeps small terms beside large ones.

/// Neumaier's variant of Kahan's summation: the rounding error of each addition is carried along and
/// added at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// The terms added up, each addition rounded.
    pub rounded: f64,
    /// What the rounding left out.
    pub error: f64,
}

impl Sum {
    /// The sum of one term.
    pub fn of(value: f64) -> Self {
        Self { rounded: value, error: 0.0 }
    }

    /// Adds a term.
    pub fn add(&mut self, term: f64) {
        let rounded = self.rounded + term;
        if rounded.is_infinite() {
            self.error = 0.0;
        } else if self.rounded.abs() >= term.abs() {
            self.error += (self.rounded - rounded) + term;
        } else {
            self.error += (term - rounded) + self.rounded;
        }
        self.rounded = rounded;
    }

    /// Adds another sum. Of finite terms the total is that of adding them one by one, but for the
    /// rounding of its last place.
    pub fn merge(&mut self, other: Self) {
        self.add(other.rounded);
        if !self.rounded.is_infinite() {
            self.error += other.error;
        }
    }

    /// The sum.
    pub fn total(self) -> f64 {
        self.rounded + self.error
    }

    /// The sum of all terms, each multiplied.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { rounded: self.rounded * factor, error: self.error * factor }
    }
}
