//! Product credit: what a player has paid for and not been given yet, counted by product.
//!
//! Giving and using credit change the document. A refused call changes nothing and tells nobody.
//! Inside a hook that is undone, what was given or used is undone with the document, and is not
//! told either.

use thiserror::Error;

use crate::save_data::{ProductId, SaveData};

use super::driver::LockerError;
use super::event::{Event, LoadStatus};
use super::shared_data::WriteError;
use super::state::LockerState;

/// Why credit was not given, used or told. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CreditError {
    /// Amounts are 1 or more.
    #[error("the amount is {amount}, but must be 1 or more")]
    InvalidAmount {
        /// What was given.
        amount: i64,
    },
    /// The sum would not fit 64 bits.
    #[error("product {product_id} has a credit of {credit}; {amount} more do not fit 64 bits")]
    Overflow {
        /// The product.
        product_id: ProductId,
        /// Its credit.
        credit: i64,
        /// What was to be added.
        amount: i64,
    },
    /// There is no player's document to keep it in.
    #[error("the save data is not loaded")]
    NotLoaded,
    /// A hook on another thread owns the save data, or the session is over.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The locker or profile is gone.
    #[error(transparent)]
    Locker(#[from] LockerError),
}

/// A change of one product's credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditChange {
    pub product_id: ProductId,
    /// What was added; negative for what was used.
    pub change: i64,
}

impl LockerState {
    /// The credit of a product; 0 where there is none.
    pub fn product_credit(&self, product_id: ProductId) -> Result<i64, CreditError> {
        self.check_loaded()?;
        Ok(self.data.read(|data| credit_of(data, product_id)))
    }

    /// Adds to the credit of a product.
    pub fn give_product_credit(
        &mut self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<(), CreditError> {
        let change = self.check_change(product_id, amount)?;
        self.data.write_credit(change, |data| {
            add_credit(data, product_id, amount).map(|()| true)
        })??;
        self.has_credit_changes = true;
        Ok(())
    }

    /// Takes from the credit of a product; false, and nothing taken, where there is too little.
    pub fn use_product_credit(
        &mut self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<bool, CreditError> {
        let mut change = self.check_change(product_id, amount)?;
        change.change = -amount;
        let is_used = self.data.write_credit(change, |data| {
            Ok::<_, CreditError>(take_credit(data, product_id, amount))
        })??;
        self.has_credit_changes |= is_used;
        Ok(is_used)
    }

    /// Tells what has been given and used since the last time.
    pub(super) fn tell_credit_changes(&mut self) {
        if !std::mem::take(&mut self.has_credit_changes) {
            return;
        }
        for CreditChange { product_id, change } in self.data.take_credit_changes() {
            self.emit(Event::ProductCreditChanged { product_id, change });
        }
    }

    fn check_change(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<CreditChange, CreditError> {
        if amount < 1 {
            return Err(CreditError::InvalidAmount { amount });
        }
        self.check_loaded()?;
        let change = amount;
        Ok(CreditChange { product_id, change })
    }

    fn check_loaded(&self) -> Result<(), CreditError> {
        match self.status() {
            LoadStatus::Loaded => Ok(()),
            _ => Err(CreditError::NotLoaded),
        }
    }
}

/// Adds to a document's credit of a product, unless the sum does not fit.
pub(crate) fn add_credit(
    data: &mut SaveData,
    product_id: ProductId,
    amount: i64,
) -> Result<(), CreditError> {
    let credit = credit_of(data, product_id);
    let sum = credit.checked_add(amount).ok_or(CreditError::Overflow {
        product_id,
        credit,
        amount,
    })?;
    set_credit(data, product_id, sum);
    Ok(())
}

/// Takes from a document's credit of a product; false where there is too little.
fn take_credit(data: &mut SaveData, product_id: ProductId, amount: i64) -> bool {
    let credit = credit_of(data, product_id);
    let is_enough = credit >= amount;
    if is_enough {
        set_credit(data, product_id, credit - amount);
    }
    is_enough
}

fn credit_of(data: &SaveData, product_id: ProductId) -> i64 {
    let mut credits = data.reserved().product_credit.iter();
    credits
        .find(|(id, _)| *id == product_id)
        .map_or(0, |(_, count)| *count)
}

/// An entry that reaches zero is removed.
fn set_credit(data: &mut SaveData, product_id: ProductId, count: i64) {
    let credits = &mut data.reserved_mut().product_credit;
    match credits.iter().position(|(id, _)| *id == product_id) {
        Some(index) if count == 0 => drop(credits.remove(index)),
        Some(index) => credits[index].1 = count,
        None => credits.push((product_id, count)),
    }
}
