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
        /// <summary>
        /// How many reports wait for their events: as many as the library keeps of these. The oldest goes, for its event
        /// may never come.
        /// </summary>
        public const int ReportsLimit = 65536;

        private static readonly ReportShape Delegate = OnReport;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        private readonly Action<ErrorReport> reportError;
        private readonly int limit;
        private readonly LinkedList<ErrorReport> reports = new LinkedList<ErrorReport>();

        /// <summary>Keeps up to <paramref name="limit"/> reports.</summary>
        public ReportHook(Action<ErrorReport> reportError, int limit)
        {
            this.reportError = reportError;
            this.limit = limit;
            Messages = new Dispatcher();
        }

        /// <summary>What the store, the lockers of the spec, or the sender have to say.</summary>
        public Dispatcher Messages { get; private set; }

        /// <summary>
        /// Whether somebody hears of errors by an event, or sees to those that nobody hears when their events come.
        /// </summary>
        public bool HasErrorListener { get; set; }

        /// <summary>Whether the host is told of every failure at once.</summary>
        public bool IsReporting
        {
            get { return reportError != null; }
        }

        /// <summary>The report that an event is about. One that several profiles of a session hear of comes once.</summary>
        public ErrorReport TakeReport(string key, string message)
        {
            lock (reports)
            {
                LinkedListNode<ErrorReport> at = reports.First; // Nearly always this one.
                while (at != null && (at.Value.Key != key || at.Value.Message != message))
                {
                    at = at.Next;
                }
                if (at == null)
                {
                    return null;
                }
                reports.Remove(at);
                return at.Value;
            }
        }

        private void Report(ErrorReport report)
        {
            lock (reports)
            {
                reports.AddLast(report);
                if (reports.Count > limit)
                {
                    reports.RemoveFirst();
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
                HookFailure.Contain(thrown);
                if (hook != null)
                {
                    hook.Messages.Thrown(thrown);
                }
            }
        }
    }
}
