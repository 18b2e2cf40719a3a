//! Not built yet: driver.
