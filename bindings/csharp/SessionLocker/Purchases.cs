using System;
using System.Runtime.InteropServices;
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
                ProductResult result = Run<PurchaseAnswer>(userData).process((ProductOp)op, managed);
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
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // Nothing of the host's runs here.
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
}
