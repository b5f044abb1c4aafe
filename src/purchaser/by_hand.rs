//! A product process run by hand, outside of any purchase: to ask beforehand whether a product can be
//! bought, and to give for credit what could not be given when it was paid for.

use std::sync::Arc;

use thiserror::Error;

use crate::locker::{Driving, HookAnswer, LockerError, LockerRef, is_restorable};
use crate::save_data::ProductId;

use super::purchase::run;
use super::{ProductProcess, ReceiptInfo, Validation};

/// A purchase that nobody makes, for running its process by hand: the seed's dummy
/// `PendingProductPurchase`.
#[derive(Clone)]
pub struct PendingProductPurchase {
    process: Arc<dyn ProductProcess>,
    receipt: ReceiptInfo,
}

/// Why a process could not be run by hand, or did not apply. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ByHandError {
    /// The hook has failed.
    #[error("{0}")]
    Hook(String),
    /// The product is a gift, which is not given for the credit of whoever has it.
    #[error("product {product_id} is a gift, which is not given for credit")]
    Gift {
        /// The product.
        product_id: ProductId,
    },
    /// There is no session whose save data would be saved.
    #[error("the save data is not available")]
    NotAvailable,
    /// An update is under way, or the like.
    #[error(transparent)]
    Locker(#[from] LockerError),
}

impl PendingProductPurchase {
    /// With a receipt: one of the platform's, or [`ReceiptInfo::from_ids`].
    pub fn from_receipt(process: Arc<dyn ProductProcess>, receipt: ReceiptInfo) -> Self {
        Self { process, receipt }
    }

    /// Asks whether the product can be applied, and to whom.
    pub fn validate(&self) -> Result<Validation, ByHandError> {
        super::validate(&*self.process, &self.receipt).map_err(ByHandError::Hook)
    }

    /// Applies the product to the save data of a locker, for nothing: no history, no record, no
    /// credit. If it is not applied, the document is as before.
    ///
    /// Refused inside an update of the locker's store or spec, and inside a hook that is undone if it
    /// fails.
    pub fn apply(&self, to: &LockerRef) -> Result<HookAnswer, ByHandError> {
        let _driving = drive(to)?;
        self.run(to, || self.process.apply(&self.receipt, to.save_data()))
    }

    /// Applies the product to the save data of a locker for one credit of it. Not applicable: there
    /// is no credit, or the product cannot be applied. If it is not applied, the document is as
    /// before, and the credit still there.
    ///
    /// Refused inside an update of the locker's store or spec, and inside a hook that is undone if it
    /// fails.
    pub fn use_credit(&self, of: &LockerRef) -> Result<HookAnswer, ByHandError> {
        let _driving = drive(of)?;
        match self.validate()? {
            Validation::NotApplicable | Validation::NotNow => return Ok(HookAnswer::NotApplicable),
            Validation::Gift(to) if to.name() != of.name() => {
                let product_id = self.receipt.product_id;
                return Err(ByHandError::Gift { product_id });
            }
            Validation::Own | Validation::Gift(_) => {}
        }
        self.run(of, || {
            let used = of.use_product_credit(self.receipt.product_id, 1);
            match used.map_err(|error| error.to_string())? {
                true => self.process.apply(&self.receipt, of.save_data()),
                false => Ok(HookAnswer::NotApplicable),
            }
        })
    }

    fn run(
        &self,
        on: &LockerRef,
        hook: impl FnOnce() -> Result<HookAnswer, String>,
    ) -> Result<HookAnswer, ByHandError> {
        if !on.is_available() {
            return Err(ByHandError::NotAvailable);
        }
        run(on.save_data(), hook, |_, _| {}).map_err(ByHandError::Hook)
    }
}

/// The right to run a hook. A hook that may write only its own document does not get it: what would
/// be applied to another's could not be undone with it.
fn drive(locker: &LockerRef) -> Result<Driving<'_>, LockerError> {
    match is_restorable() {
        true => Err(LockerError::Busy),
        false => locker.drive(),
    }
}
