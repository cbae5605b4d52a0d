//! The formats, a file each. Every reader gives the same cases to the same sink.

pub(crate) mod allure;
pub(crate) mod ctrf;
pub(crate) mod cucumber;
pub(crate) mod go_test;
pub(crate) mod jest;
pub(crate) mod junit;
pub(crate) mod nunit;
pub(crate) mod playwright;
pub(crate) mod tap;
pub(crate) mod testng;
pub(crate) mod trx;
pub(crate) mod xunit;
