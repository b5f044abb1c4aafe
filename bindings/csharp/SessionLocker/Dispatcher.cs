using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace SessionLocker
{
    /// <summary>
    /// What the host is to hear, in order: events and answers wait here while the library is at work, and are
    /// delivered when it has returned, on the thread that called it.
    /// </summary>
    internal sealed class Dispatcher
    {
        private readonly ConcurrentQueue<Action> events = new ConcurrentQueue<Action>();
        private readonly ConcurrentQueue<Action> answers = new ConcurrentQueue<Action>();
        private readonly List<Exception> thrown = new List<Exception>();
        private int waiting;
        private int delivering;

        // The calls that this thread is in, the innermost last. What other threads are in does not count: one that is
        // refused while this thread is at work would else deliver, or keep this one from delivering.
        [ThreadStatic]
        private static List<Dispatcher> inside;

        /// <summary>
        /// A call begins in which the library may run hooks. Until it ends nothing is delivered, so that no handler
        /// runs inside a hook.
        /// </summary>
        public void Enter()
        {
            (inside ?? (inside = new List<Dispatcher>())).Add(this);
        }

        /// <summary>
        /// That call has ended, with a status. True if what waits is to be delivered: not while this thread is still in
        /// another such call, which delivers when it ends, and not by a call that was refused because one is under way.
        /// </summary>
        public bool Leave(int status)
        {
            inside.RemoveAt(inside.LastIndexOf(this));
            HookFailure.GoOnAborting();
            return !IsInside && status != (int)SessionLockerStatus.Busy;
        }

        /// <summary>Whether this thread is in such a call, and so in a hook.</summary>
        public bool IsInside
        {
            get { return inside != null && inside.Contains(this); }
        }

        /// <summary>An event.</summary>
        public void Post(Action message)
        {
            Interlocked.Increment(ref waiting);
            events.Enqueue(message);
        }

        /// <summary>The answer to something that the host waits for: it comes after the events of its update.</summary>
        public void Answer(Action message)
        {
            Interlocked.Increment(ref waiting);
            answers.Enqueue(message);
        }

        /// <summary>Something of the host's has thrown: to be thrown on, once all else is delivered.</summary>
        public void Thrown(Exception exception)
        {
            lock (thrown)
            {
                thrown.Add(exception);
            }
            Interlocked.Increment(ref waiting);
        }

        /// <summary>Calls each handler, also those behind one that throws.</summary>
        public void Raise<T>(EventHandler<T> handlers, object sender, T arguments)
        {
            if (handlers == null)
            {
                return;
            }
            foreach (Delegate handler in handlers.GetInvocationList())
            {
                try
                {
                    ((EventHandler<T>)handler)(sender, arguments);
                }
                catch (Exception exception)
                {
                    Thrown(exception);
                }
            }
        }

        /// <summary>
        /// Delivers everything, then throws: why the call was refused, if it was, and what the host's own
        /// handlers have thrown. One exception as it is, several in an <see cref="AggregateException"/>.
        /// </summary>
        public void Deliver(Exception refused)
        {
            if (Volatile.Read(ref waiting) > 0)
            {
                Interlocked.Increment(ref delivering);
                Action next;
                while ((next = Take()) != null)
                {
                    try
                    {
                        next();
                    }
                    catch (Exception exception)
                    {
                        Thrown(exception);
                    }
                }
                // A handler that itself calls something that delivers does not get what others have thrown.
                bool isOutermost = Interlocked.Decrement(ref delivering) == 0;
                Throw(refused, isOutermost);
            }
            else if (refused != null)
            {
                throw refused;
            }
        }

        private Action Take()
        {
            Action next;
            if (events.TryDequeue(out next) || answers.TryDequeue(out next))
            {
                Interlocked.Decrement(ref waiting);
            }
            return next;
        }

        private void Throw(Exception refused, bool withThrown)
        {
            var all = new List<Exception>();
            if (refused != null)
            {
                all.Add(refused);
            }
            if (withThrown)
            {
                lock (thrown)
                {
                    all.AddRange(thrown);
                    thrown.Clear();
                }
                Interlocked.Add(ref waiting, refused == null ? -all.Count : 1 - all.Count);
            }
            if (all.Count == 1)
            {
                ExceptionDispatchInfo.Capture(all[0]).Throw();
            }
            if (all.Count > 1)
            {
                throw new AggregateException(all);
            }
        }
    }
}
