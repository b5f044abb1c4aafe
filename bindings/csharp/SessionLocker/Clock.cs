using System;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Clocks of the host's own, for tests and for engines with a time of their own. Called from any thread that
    /// calls into the library; must not call back into it, and must not throw: what it throws counts for nothing,
    /// and the last time it told goes on.
    /// </summary>
    public interface IClock
    {
        /// <summary>Unix seconds, by this server's clock.</summary>
        double Wall();

        /// <summary>
        /// Seconds that never run backwards, from any epoch, time asleep included: they tell
        /// how old the time is that the host tells. Not a number: they cannot be read now, and until they can no
        /// session is available.
        /// </summary>
        double Monotonic();

        /// <summary>Lets about so many seconds pass; called by blocking waits alone.</summary>
        void Sleep(double seconds);
    }

    /// <summary>What the library calls of a clock.</summary>
    internal sealed unsafe class ClockHook : HookData
    {
        private static readonly ClockShape WallDelegate = OnWall;
        private static readonly ClockShape MonotonicDelegate = OnMonotonic;
        private static readonly SleepShape SleepDelegate = OnSleep;

        private readonly IClock clock;
        private double lastWall;
        // What cannot be read yet.
        private double lastMonotonic = double.NaN;

        public ClockHook(IClock clock)
        {
            this.clock = clock;
        }

        /// <summary>Fills the table for a clock; null, and an untouched table, for none.</summary>
        public static ClockHook Fill(IClock clock, SlClock* native)
        {
            if (clock == null)
            {
                return null;
            }
            var hook = new ClockHook(clock);
            hook.Fill(native);
            return hook;
        }

        /// <summary>Takes it back, if there is one: the library has refused the call.</summary>
        public static void TakeBack(ClockHook hook)
        {
            if (hook != null)
            {
                hook.TakeBack();
            }
        }

        private void Fill(SlClock* native)
        {
            Check.Ok(NativeMethods.session_locker_clock_init(native, (UIntPtr)sizeof(SlClock)), null);
            native->user_data = Hold();
            native->wall = (void*)Marshal.GetFunctionPointerForDelegate(WallDelegate);
            native->monotonic = (void*)Marshal.GetFunctionPointerForDelegate(MonotonicDelegate);
            native->sleep = (void*)Marshal.GetFunctionPointerForDelegate(SleepDelegate);
            native->drop = (void*)Drop;
        }

        [MonoPInvokeCallback(typeof(ClockShape))]
        private static double OnWall(IntPtr userData)
        {
            ClockHook hook = null;
            try
            {
                hook = From<ClockHook>(userData);
                hook.lastWall = hook.clock.Wall();
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // The page of IClock says so.
            }
            return hook == null ? 0 : hook.lastWall;
        }

        [MonoPInvokeCallback(typeof(ClockShape))]
        private static double OnMonotonic(IntPtr userData)
        {
            ClockHook hook = null;
            try
            {
                hook = From<ClockHook>(userData);
                hook.lastMonotonic = hook.clock.Monotonic();
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // The page of IClock says so.
            }
            return hook == null ? double.NaN : hook.lastMonotonic;
        }

        [MonoPInvokeCallback(typeof(SleepShape))]
        private static void OnSleep(IntPtr userData, double seconds)
        {
            try
            {
                From<ClockHook>(userData).clock.Sleep(seconds);
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // The page of IClock says so.
            }
        }
    }
}
