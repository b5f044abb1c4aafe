using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// A purchase that nobody makes, to run its process function by hand: to ask before a purchase is offered
    /// whether it can be applied, and to give for credit what could not be given when it was paid for.
    /// </summary>
    /// <remarks>
    /// Each method takes a profile or a locker, throws a <see cref="SessionLockerException"/> with
    /// <see cref="SessionLockerStatus.NotActive"/> if that is over and with <see cref="SessionLockerStatus.Hook"/> if the
    /// function has thrown.
    /// </remarks>
    public sealed unsafe class PendingProductPurchase : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            pending => NativeMethods.pending_product_purchase_destroy((SlPendingProductPurchase*)pending);

        private PendingProductPurchase(SlPendingProductPurchase* native)
            : base(native, Destroy)
        {
        }

        private SlPendingProductPurchase* Native
        {
            get { return (SlPendingProductPurchase*)Name; }
        }

        /// <summary>Makes one with a receipt; its purchase id may be empty, for nothing is known by it.</summary>
        public static PendingProductPurchase FromReceipt(ProductProcess process, ReceiptInfo receipt)
        {
            using (var texts = new Arena())
            {
                SlReceiptInfo info;
                SlPendingProductPurchase* pending;
                ReceiptInfo.Fill(receipt, &info, texts);
                var hook = new PurchaseAnswer(process, null);
                int status = NativeMethods.pending_product_purchase_from_receipt(
                    (void*)PurchaseAnswer.ProcessPointer, &info, hook.Hold(), (void*)HookData.Drop, &pending);
                return Made(hook, status, pending);
            }
        }

        /// <summary>Makes one of a product by a player (null for nobody), with an empty purchase id.</summary>
        public static PendingProductPurchase FromIds(ProductProcess process, long productId, string userId)
        {
            using (var texts = new Arena())
            {
                SlPendingProductPurchase* pending;
                UIntPtr length;
                byte* text = texts.Text(userId, out length);
                var hook = new PurchaseAnswer(process, null);
                int status = NativeMethods.pending_product_purchase_from_ids(
                    (void*)PurchaseAnswer.ProcessPointer, productId, text, length, hook.Hold(), (void*)HookData.Drop, &pending);
                return Made(hook, status, pending);
            }
        }

        /// <summary>Whether the product can be applied to a profile or locker; null for nobody.</summary>
        public bool Validate(Session session)
        {
            int isApplicable;
            Ok(NativeMethods.pending_product_purchase_validate(Native, LockerOf(session), ProfileOf(session), &isApplicable));
            GC.KeepAlive(session);
            return isApplicable != 0;
        }

        /// <summary>
        /// Applies the product for nothing: no entry in the history, no record, no credit. False if it is not
        /// applicable; then the save data is as before.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// Also <see cref="SessionLockerStatus.NotLoaded"/> (the save data is not available) and
        /// <see cref="SessionLockerStatus.Busy"/> (inside an update).
        /// </exception>
        public bool Apply(Session session)
        {
            int wasApplied;
            Ok(NativeMethods.pending_product_purchase_apply(Native, LockerOf(session), ProfileOf(session), &wasApplied));
            GC.KeepAlive(session);
            return wasApplied != 0;
        }

        /// <summary>
        /// Gives the product for one credit of it: validates, then takes the credit and applies, in one step. False,
        /// and nothing has changed, if there is no credit or it is not applicable.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// As for <see cref="Apply"/>, and <see cref="SessionLockerStatus.Unsupported"/> (a gift is not given for credit).
        /// </exception>
        public bool UseCredit(Session session)
        {
            int wasApplied;
            Ok(NativeMethods.pending_product_purchase_use_credit(Native, LockerOf(session), ProfileOf(session), &wasApplied));
            GC.KeepAlive(session);
            return wasApplied != 0;
        }

        private static PendingProductPurchase Made(PurchaseAnswer hook, int status, SlPendingProductPurchase* pending)
        {
            if (status != 0)
            {
                hook.TakeBack();
                throw Check.Failure(status, null);
            }
            return new PendingProductPurchase(pending);
        }

        private static SlLocker* LockerOf(Session session)
        {
            return session is Locker ? (SlLocker*)session.Name : null;
        }

        private static SlProfile* ProfileOf(Session session)
        {
            return session is Profile ? (SlProfile*)session.Name : null;
        }
    }
}
