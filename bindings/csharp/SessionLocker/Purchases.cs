using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Processes a product: <paramref name="op"/> says what is asked. Runs inside an update, wait or drain; an
    /// update, wait or drain inside it is refused (<see cref="SessionLockerStatus.Busy"/>), and so is a write to other
    /// save data than the call's. It may run more often than the purchase is granted, so it should do nothing but
    /// change save data. An exception is a failure: it is reported, undone, and asked again after the retry
    /// cooldown.
    /// </summary>
    public delegate ProductResult ProductProcess(ProductOp op, ProductCall call);

    /// <summary>What was bought, by whom and for how much: the original's <c>ReceiptInfo</c>.</summary>
    public sealed unsafe class ReceiptInfo
    {
        /// <summary>
        /// The receipt's own id, 1 to 256 bytes of UTF-8. With the product, it is what a purchase is known by.
        /// </summary>
        public string PurchaseId { get; set; }

        /// <summary>What was bought (0).</summary>
        public long ProductId { get; set; }

        /// <summary>Who has bought it, as the platform names players, at most 128 bytes; null if nobody says.</summary>
        public string UserId { get; set; }

        /// <summary>The place where it was bought (0).</summary>
        public long PlaceId { get; set; }

        /// <summary>What was paid, in the smallest unit of the currency, such as cents (0).</summary>
        public long CurrencySpent { get; set; }

        internal static ReceiptInfo Read(SlReceiptInfo* native)
        {
            return new ReceiptInfo
            {
                PurchaseId = Utf8.Read(native->purchase_id, native->purchase_id_length),
                ProductId = native->product_id,
                UserId = native->user_id == null ? null : Utf8.Read(native->user_id, native->user_id_length),
                PlaceId = native->place_id,
                CurrencySpent = native->currency_spent,
            };
        }

        internal static void Fill(ReceiptInfo receipt, SlReceiptInfo* place, Arena texts)
        {
            if (receipt == null)
            {
                throw new ArgumentNullException("receipt");
            }
            Check.Ok(NativeMethods.session_locker_receipt_info_init(place, (UIntPtr)sizeof(SlReceiptInfo)), null);
            place->purchase_id = texts.Text(receipt.PurchaseId ?? string.Empty, out place->purchase_id_length);
            place->product_id = receipt.ProductId;
            if (receipt.UserId != null)
            {
                place->user_id = texts.Text(receipt.UserId, out place->user_id_length);
            }
            place->place_id = receipt.PlaceId;
            place->currency_spent = receipt.CurrencySpent;
        }
    }

    /// <summary>What a process function is called for. Valid until it returns.</summary>
    public sealed unsafe class ProductCall
    {
        internal ProductCall(SlProductCall* native)
        {
            Receipt = ReceiptInfo.Read(native->receipt);
            Locker = (Locker)Sessions.Find((IntPtr)native->locker);
            Profile = (Profile)Sessions.Find((IntPtr)native->profile);
            SaveData = native->save_data == null ? null : new SaveData(native->save_data);
        }

        /// <summary>The receipt.</summary>
        public ReceiptInfo Receipt { get; private set; }

        /// <summary>The purchaser's locker; null for a profile's purchase, and once it is disposed.</summary>
        public Locker Locker { get; private set; }

        /// <summary>The purchaser's profile; null for a locker's purchase, and once it is disposed.</summary>
        public Profile Profile { get; private set; }

        /// <summary>
        /// The save data that may be written: to apply, the purchaser's or for a gift the recipient's; to record, the
        /// purchaser's. Null to validate.
        /// </summary>
        public SaveData SaveData { get; private set; }

        /// <summary>
        /// For <see cref="ProductOp.Validate"/> to set: to whom the gift goes, a locker of the same spec.
        /// </summary>
        public Locker RecipientLocker { get; set; }

        /// <summary>
        /// For <see cref="ProductOp.Validate"/> to set: to whom the gift goes, a profile of the same store.
        /// </summary>
        public Profile RecipientProfile { get; set; }
    }

    /// <summary>A process function, and the answer to its purchase.</summary>
    internal sealed unsafe class PurchaseAnswer : Answer<bool>
    {
        private static readonly ProductShape ProcessDelegate = OnProcess;
        private static readonly AnswerShape AnswerDelegate = OnAnswer;

        public static readonly IntPtr ProcessPointer = Marshal.GetFunctionPointerForDelegate(ProcessDelegate);
        public static readonly IntPtr AnswerPointer = Marshal.GetFunctionPointerForDelegate(AnswerDelegate);

        private readonly ProductProcess process;

        public PurchaseAnswer(ProductProcess process, Dispatcher messages)
            : base(messages)
        {
            if (process == null)
            {
                throw new ArgumentNullException("process");
            }
            this.process = process;
        }

        // A wait that does not want the answer.
        protected override void Abandoned()
        {
            Cancel();
        }

        [MonoPInvokeCallback(typeof(ProductShape))]
        private static int OnProcess(IntPtr userData, int op, IntPtr call)
        {
            try
            {
                var native = (SlProductCall*)call;
                var managed = new ProductCall(native);
                ProductResult result = From<PurchaseAnswer>(userData).process((ProductOp)op, managed);
                if (op == (int)ProductOp.Validate)
                {
                    native->recipient_locker = (SlLocker*)NameOf(managed.RecipientLocker);
                    native->recipient_profile = (SlProfile*)NameOf(managed.RecipientProfile);
                }
                return Status(result);
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(AnswerShape))]
        private static void OnAnswer(IntPtr userData, int isGranted)
        {
            try
            {
                From<PurchaseAnswer>(userData).Give(isGranted != 0);
            }
            catch (Exception)
            {
                // Nothing of the host's runs here.
            }
        }

        private static IntPtr NameOf(Session session)
        {
            return session == null ? IntPtr.Zero : session.Name;
        }

        private static int Status(ProductResult result)
        {
            switch (result)
            {
                case ProductResult.Ok:
                    return 0;
                case ProductResult.NotApplicable:
                    return (int)SessionLockerStatus.NotApplicable;
                case ProductResult.NotNow:
                    return (int)SessionLockerStatus.NotActive;
                default:
                    throw new ArgumentOutOfRangeException("result", result, "no result of a process function");
            }
        }
    }

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
            Exception refused = status == 0 ? null : Check.Failure(status, this);
            if (messages.Leave())
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
