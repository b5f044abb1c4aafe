using System;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>The process's log.</summary>
    internal sealed unsafe class LogHook : HookData
    {
        private static readonly LogShape Delegate = OnLog;
        private static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        private static volatile Action<LogLevel, string> current;

        private readonly Action<LogLevel, string> log;

        private LogHook(Action<LogLevel, string> log)
        {
            this.log = log;
        }

        public static void Set(Action<LogLevel, string> log)
        {
            current = log;
            if (log == null)
            {
                NativeMethods.session_locker_set_log_callback(null, null, null);
                return;
            }
            DomainEnd.Watch();
            NativeMethods.session_locker_set_log_callback((void*)Pointer, new LogHook(log).Hold(), (void*)Drop);
        }

        /// <summary>Logs a message of the binding's own.</summary>
        public static void Write(LogLevel level, string message)
        {
            Action<LogLevel, string> log = current;
            try
            {
                if (log != null)
                {
                    log(level, message);
                }
            }
            catch (Exception)
            {
                // There is no other place to tell it.
            }
        }

        [MonoPInvokeCallback(typeof(LogShape))]
        private static void OnLog(IntPtr userData, int level, IntPtr message, UIntPtr messageLength)
        {
            try
            {
                From<LogHook>(userData).log((LogLevel)level, Utf8.Read((byte*)message, messageLength));
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // There is no other place to tell it.
            }
        }
    }

    /// <summary>A reporter of the whole process, for parts of it that use the library without this binding.</summary>
    internal static unsafe class DefaultReportHook
    {
        public static int Set(Reporter reporter, Action<ErrorReport> reportError)
        {
            if (reportError == null)
            {
                return NativeMethods.session_locker_set_default_report_error((int)reporter, null, null, null);
            }
            DomainEnd.Watch();
            var hook = new ReportHook(reportError, 0);
            int status = NativeMethods.session_locker_set_default_report_error(
                (int)reporter, (void*)ReportHook.Pointer, hook.Hold(), (void*)HookData.Drop);
            if (status != 0)
            {
                hook.TakeBack();
            }
            return status;
        }
    }

    /// <summary>
    /// Unity's editor ends the domain that all managed code lives in at every change of a script, and keeps the native
    /// library: what that would call must be taken back.
    /// </summary>
    internal static unsafe class DomainEnd
    {
        private static bool isWatched;

        public static void Watch()
        {
            if (!isWatched)
            {
                isWatched = true;
                AppDomain.CurrentDomain.DomainUnload += (sender, arguments) => TakeBack();
            }
        }

        private static void TakeBack()
        {
            NativeMethods.session_locker_set_log_callback(null, null, null);
            NativeMethods.session_locker_set_default_report_error((int)Reporter.Lockers, null, null, null);
            NativeMethods.session_locker_set_default_report_error((int)Reporter.Senders, null, null, null);
        }
    }
}
