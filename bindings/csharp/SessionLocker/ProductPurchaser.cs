using System;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Processes the purchases of lockers: the original's <c>ProductPurchaser</c>. One does for a server. The host
    /// updates it every frame, best before its lockers. A store has one of its own, for its profiles. Dispose
    /// answers every purchase that is left with false; what was applied stays applied, and is granted when its receipt
    /// comes again.
    /// </summary>
    public sealed unsafe class ProductPurchaser : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            purchaser => NativeMethods.product_purchaser_destroy((SlProductPurchaser*)purchaser);

        private readonly Dispatcher messages = new Dispatcher();

        /// <summary>Makes a purchaser with no purchases.</summary>
        public ProductPurchaser()
            : base(Make(), Destroy)
        {
        }

        /// <summary>
        /// Whether a purchase is not answered yet. At shutdown, release the lockers and go on updating until it is
        /// false.
        /// </summary>
        public bool HasIncompletePurchases
        {
            get
            {
                int hasIncomplete;
                Ok(NativeMethods.product_purchaser_has_incomplete_purchases(Native, &hasIncomplete));
                return hasIncomplete != 0;
            }
        }

        private SlProductPurchaser* Native
        {
            get { return (SlProductPurchaser*)Name; }
        }

        /// <summary>
        /// Does all there is to do for the purchases, once a frame; then tasks complete. <paramref name="now"/> is in
        /// seconds that never run backwards.
        /// </summary>
        public void Update(double now)
        {
            NativeHandle.FreeForgotten();
            messages.Enter();
            Finish(NativeMethods.product_purchaser_update(Native, now));
        }

        /// <summary>The same, by the library's own clock.</summary>
        public void Update()
        {
            Update(NativeMethods.session_locker_now());
        }

        /// <summary>
        /// Processes a purchase once the locker is available, inside the updates, and answers it once: true when its
        /// effect is in the storage, and the platform may be told so. As
        /// <see cref="Profile.WhenProductIsProcessedAndSavedAsync"/>, but that it outlives a session: it waits for the
        /// locker's next one, and is answered with false when the locker is deleted.
        /// </summary>
        public Task<bool> WhenProductIsProcessedAndSavedAsync(Locker locker, ProductProcess process, ReceiptInfo receipt)
        {
            Check.NotNull(locker, "locker");
            using (var texts = new Arena())
            {
                SlReceiptInfo info;
                ReceiptInfo.Fill(receipt, &info, texts);
                var answer = new PurchaseAnswer(process, messages);
                int status = NativeMethods.product_purchaser_call_when_product_is_processed_and_saved(
                    Native, (SlLocker*)locker.Name, (void*)PurchaseAnswer.ProcessPointer, &info,
                    (void*)PurchaseAnswer.AnswerPointer, answer.Hold(), (void*)HookData.Drop);
                if (status != 0)
                {
                    answer.TakeBack();
                }
                Check.Ok(status, locker.IsDisposed ? locker : (NativeObject)this);
                return answer.Task;
            }
        }

        /// <summary>
        /// Processes a purchase, and updates this purchaser and all lockers of the locker's spec until it is answered.
        /// Blocks; for tools.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Timeout"/>: the purchase goes on, and the receipt can be asked for again.
        /// </exception>
        public bool WaitUntilProductIsProcessedAndSaved(
            Locker locker, ProductProcess process, ReceiptInfo receipt, TimeSpan timeout)
        {
            Check.NotNull(locker, "locker");
            using (var texts = new Arena())
            {
                SlReceiptInfo info;
                int wasGranted = 0;
                ReceiptInfo.Fill(receipt, &info, texts);
                var hook = new PurchaseAnswer(process, null);
                messages.Enter();
                int status = NativeMethods.product_purchaser_wait_until_product_is_processed_and_saved(
                    Native, (SlLocker*)locker.Name, (void*)PurchaseAnswer.ProcessPointer, &info, hook.Hold(),
                    (void*)HookData.Drop, Seconds.Of(timeout), &wasGranted);
                hook.TakeBackAfterWait(status);
                Finish(status);
                return wasGranted != 0;
            }
        }

        /// <inheritdoc/>
        public override void Dispose()
        {
            base.Dispose();
            if (!messages.IsInside)
            {
                messages.Deliver(null);
            }
        }

        private static void* Make()
        {
            SlProductPurchaser* purchaser;
            Check.Ok(NativeMethods.product_purchaser_create(&purchaser), null);
            return purchaser;
        }

        private void Finish(int status)
        {
            bool isLast = messages.Leave(status);
            Exception refused = status == 0 ? null : Check.Failure(status, this);
            if (isLast)
            {
                messages.Deliver(refused);
            }
            else if (refused != null)
            {
                throw refused;
            }
        }
    }
}
