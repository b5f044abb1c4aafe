using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    // The shapes of what the library calls. One static method of each shape is enough, however many
    // delegates the host gives: the first argument says whose it is.
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void DropShape(IntPtr userData);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int CreateShape(IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr data);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int MigrateShape(IntPtr userData, IntPtr data, IntPtr versionPatch);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int RemoteChangeShape(
        IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr data, IntPtr change, UIntPtr changeLength);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int MergeShape(IntPtr userData, IntPtr key, UIntPtr keyLength, IntPtr offline, IntPtr data);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void ReportShape(IntPtr userData, IntPtr report);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int BeforeSaveShape(IntPtr userData, IntPtr session);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int ProductShape(IntPtr userData, int op, IntPtr call);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void AnswerShape(IntPtr userData, int answer);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void LoadedShape(IntPtr userData, IntPtr profile);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void SendShape(IntPtr userData, ulong sendId, int outcome);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void LogShape(IntPtr userData, int level, IntPtr message, UIntPtr messageLength);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate double ClockShape(IntPtr userData);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void SleepShape(IntPtr userData, double seconds);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int CommitShape(IntPtr userData, IntPtr request, IntPtr commit);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int KeyShape(IntPtr userData, IntPtr request, IntPtr key, UIntPtr keyLength);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int EraseShape(
        IntPtr userData, IntPtr request, IntPtr key, UIntPtr keyLength, int expected, IntPtr revision, UIntPtr revisionLength);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int ListShape(
        IntPtr userData, IntPtr request, IntPtr prefix, UIntPtr prefixLength, IntPtr after, UIntPtr afterLength, UIntPtr limit);

    /// <summary>
    /// What the library holds for the host: kept alive from the call that hands it over until the library
    /// drops it.
    /// </summary>
    internal unsafe class HookData
    {
        private static readonly DropShape DropDelegate = OnDrop;

        /// <summary>The function that ends a user data.</summary>
        public static readonly IntPtr Drop = Marshal.GetFunctionPointerForDelegate(DropDelegate);

        private GCHandle self;

        /// <summary>The user data to hand over.</summary>
        public void* Hold()
        {
            self = GCHandle.Alloc(this);
            return (void*)GCHandle.ToIntPtr(self);
        }

        /// <summary>Takes it back: the library has refused the call.</summary>
        public void TakeBack()
        {
            self.Free();
        }

        /// <summary>
        /// Takes it back if a wait for a purchase has refused it. One that has run out of time, or into a bug of the
        /// library's, keeps it.
        /// </summary>
        public void TakeBackAfterWait(int status)
        {
            bool isKept = status == 0 || status == (int)SessionLockerStatus.Timeout || status == (int)SessionLockerStatus.Panic;
            if (!isKept)
            {
                TakeBack();
            }
        }

        public static T From<T>(IntPtr userData)
            where T : HookData
        {
            return (T)GCHandle.FromIntPtr(userData).Target;
        }

        /// <summary>The same, for code of the host's to run, which a thread that is to end runs no more.</summary>
        public static T Run<T>(IntPtr userData)
            where T : HookData
        {
            HookFailure.GoOnAborting();
            return From<T>(userData);
        }

        /// <summary>Nothing that it was given for will be called any more. Must not run code of the host's.</summary>
        protected virtual void Dropped()
        {
        }

        [MonoPInvokeCallback(typeof(DropShape))]
        private static void OnDrop(IntPtr userData)
        {
            try
            {
                var data = From<HookData>(userData);
                data.self.Free();
                data.Dropped();
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // Nothing may leave this method, and there is nobody to tell.
            }
        }
    }

    /// <summary>Turns what a hook has thrown into its failure.</summary>
    internal static unsafe class HookFailure
    {
        [ThreadStatic]
        private static Exception last;

        // What the library was told of it, for a message need not be the same when it is asked for again.
        [ThreadStatic]
        private static string lastText;

        [ThreadStatic]
        private static bool isAborted;

        /// <summary>
        /// What a hook returns that has thrown. Always the same status, so that an exception of a call inside it
        /// is never taken for an answer such as "not applicable".
        /// </summary>
        public static int Status(Exception thrown)
        {
            Contain(thrown);
            byte[] text = Encoding.UTF8.GetBytes(MessageOf(thrown));
            last = thrown;
            lastText = Encoding.UTF8.GetString(text);
            fixed (byte* at = text)
            {
                NativeMethods.session_locker_set_hook_error(at, (UIntPtr)text.Length);
            }
            return (int)SessionLockerStatus.Hook;
        }

        /// <summary>The exception that a message of the library's on this thread is about, if it is about one.</summary>
        public static Exception TakeFor(string message)
        {
            Exception thrown = last;
            if (thrown == null || !message.EndsWith(lastText, StringComparison.Ordinal))
            {
                return null;
            }
            last = null;
            return thrown;
        }

        /// <summary>
        /// To be called with whatever is caught where the library has called: the end of a thread is thrown again behind
        /// the catch that has caught it, and would so cross the library, unless it is called off.
        /// </summary>
        public static void Contain(Exception thrown)
        {
            if (thrown is ThreadAbortException)
            {
                Thread.ResetAbort();
                isAborted = true;
            }
        }

        /// <summary>To be called when the library has returned: a thread that was to end does so.</summary>
        public static void GoOnAborting()
        {
            if (isAborted)
            {
                isAborted = false;
                Thread.CurrentThread.Abort();
            }
        }

        private static string MessageOf(Exception thrown)
        {
            string message = null;
            try
            {
                message = thrown.Message;
            }
            catch (Exception another)
            {
                Contain(another); // An exception of the host's own may do anything, even this.
            }
            return string.IsNullOrEmpty(message) ? thrown.GetType().Name : message;
        }
    }
}
