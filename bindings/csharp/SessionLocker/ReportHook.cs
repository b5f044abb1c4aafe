using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Hears of the errors of a store, spec or sender as they happen, and keeps them until their events come, which say
    /// less.
    /// </summary>
    internal unsafe class ReportHook : HookData
    {
        /// <summary>How many reports wait for their events. More come only if nobody updates.</summary>
        public const int ReportsLimit = 1024;

        private static readonly ReportShape Delegate = OnReport;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        private readonly Action<ErrorReport> reportError;
        private readonly int limit;
        private readonly List<ErrorReport> reports = new List<ErrorReport>();

        /// <summary>Keeps up to <paramref name="limit"/> reports.</summary>
        public ReportHook(Action<ErrorReport> reportError, int limit)
        {
            this.reportError = reportError;
            this.limit = limit;
            Messages = new Dispatcher();
        }

        /// <summary>What the store, the lockers of the spec, or the sender have to say.</summary>
        public Dispatcher Messages { get; private set; }

        /// <summary>Whether somebody hears of errors by an event.</summary>
        public bool HasErrorListener { get; set; }

        /// <summary>The report that an event is about.</summary>
        public ErrorReport TakeReport(string key, string message)
        {
            lock (reports)
            {
                int at = reports.FindIndex(report => report.Key == key && report.Message == message);
                if (at < 0)
                {
                    return null;
                }
                ErrorReport found = reports[at];
                reports.RemoveAt(at);
                return found;
            }
        }

        private void Report(ErrorReport report)
        {
            lock (reports)
            {
                reports.Add(report);
                if (reports.Count > limit)
                {
                    reports.RemoveAt(0);
                }
            }
            if (reportError != null)
            {
                reportError(report);
            }
            else if (!HasErrorListener)
            {
                Unheard.Report(report);
            }
        }

        [MonoPInvokeCallback(typeof(ReportShape))]
        private static void OnReport(IntPtr userData, IntPtr report)
        {
            ReportHook hook = null;
            try
            {
                hook = From<ReportHook>(userData);
                hook.Report(new ErrorReport((SlErrorReport*)report));
            }
            catch (Exception thrown)
            {
                if (hook != null)
                {
                    hook.Messages.Thrown(thrown);
                }
            }
        }
    }
}
