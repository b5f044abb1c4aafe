namespace SessionLocker
{
    /// <summary>The type of a value in save data.</summary>
    public enum SaveDataType
    {
        /// <summary><c>null</c>.</summary>
        Null = 0,
        /// <summary><c>true</c> or <c>false</c>.</summary>
        Boolean = 1,
        /// <summary>A number without fraction or exponent that fits 64 bits.</summary>
        Integer = 2,
        /// <summary>Any other number.</summary>
        Float = 3,
        /// <summary>A string.</summary>
        String = 4,
        /// <summary>An array.</summary>
        Array = 5,
        /// <summary>An object.</summary>
        Object = 6,
    }

    /// <summary>Whose fault a failure is, and whether trying again helps.</summary>
    public enum RequestErrorKind
    {
        /// <summary>The game's own: code or configuration. Trying again does not help.</summary>
        Script = 0,
        /// <summary>Unknown, or perhaps it passes.</summary>
        Misc = 1,
        /// <summary>The backend's: its limits, its network, its outages. It is tried again.</summary>
        Backend = 2,
    }

    /// <summary>A step of the life of a session.</summary>
    public enum Lifecycle
    {
        /// <summary>The save data was replaced; the reason says by what.</summary>
        Replaced = 1,
        /// <summary>The save data is in the storage.</summary>
        Saved = 2,
        /// <summary>No session is held and nothing is under way.</summary>
        Idling = 3,
        /// <summary>The locker was deleted.</summary>
        Deleted = 4,
        /// <summary>The profile was ended by the host.</summary>
        Destroyed = 5,
        /// <summary>The last a profile says: its session is over and its key released.</summary>
        Finished = 6,
    }

    /// <summary>Why the save data was replaced.</summary>
    public enum Reason
    {
        /// <summary>It was not.</summary>
        None = 0,
        /// <summary><c>r_loaded</c>: by the player's save data, from the storage.</summary>
        Loaded = 1,
        /// <summary><c>r_released</c>: by the default; the session was ended willingly, or has not begun.</summary>
        Released = 2,
        /// <summary><c>r_lost</c>: by the default; another server owns the key, or the record is gone.</summary>
        Lost = 3,
    }

    /// <summary>How far loading has come.</summary>
    public enum LoadStatus
    {
        /// <summary>Waiting for the key.</summary>
        Loading = 0,
        /// <summary>A storage request failed; it is asked again after a cooldown.</summary>
        DataStoreRequestFail = 1,
        /// <summary>Another owner holds the key; it is asked for again after the cooldown.</summary>
        SessionIsLocked = 2,
        /// <summary>The document is of a version this server does not understand. Final.</summary>
        InvalidVersion = 3,
        /// <summary>The session is ours, and the save data is the player's.</summary>
        Loaded = 4,
        /// <summary>The stored bytes are not a document. Final.</summary>
        CorruptData = 5,
        /// <summary>A migrator or patcher failed. Final.</summary>
        MigrationFailed = 6,
        /// <summary>A new document could not be created. Final.</summary>
        CreateFailed = 7,
        /// <summary>The record was erased while its session was live or its key was asked for. Final.</summary>
        Erased = 8,
    }

    /// <summary>How a wait for changes has ended.</summary>
    public enum SaveOutcome
    {
        /// <summary>It has not: there is no answer.</summary>
        None = -1,
        /// <summary>The session ended without the changes.</summary>
        NotSaved = 0,
        /// <summary>The changes are in the storage.</summary>
        Saved = 1,
        /// <summary>The store was closed while the fate of the changes' commit was not known.</summary>
        Unknown = 2,
    }

    /// <summary>How a send of remote changes has ended.</summary>
    public enum SendOutcome
    {
        /// <summary>The changes are in the storage, in the inbox of their record or applied by its owner.</summary>
        Sent = 1,
        /// <summary>There is no record, and none was to be made; or it was erased meanwhile.</summary>
        Missing = 2,
        /// <summary>The record's inbox has no room for them. Nothing was written.</summary>
        InboxFull = 3,
        /// <summary>The sender was disposed, or a day has passed, and nothing was written.</summary>
        NotSent = 4,
        /// <summary>The same, with an attempt whose fate is not known.</summary>
        Unknown = 5,
        /// <summary>What is stored under the key is no document. It stays as it is.</summary>
        CorruptData = 6,
    }

    /// <summary>What was being done when something failed.</summary>
    public enum Activity
    {
        /// <summary>Acquiring a key.</summary>
        Load = 1,
        /// <summary>Saving or releasing.</summary>
        Save = 2,
        /// <summary>Making a new document.</summary>
        Create = 3,
        /// <summary>Running migrators and patchers.</summary>
        Migrate = 4,
        /// <summary>Running a before-save hook.</summary>
        BeforeSave = 5,
        /// <summary>Applying a remote change.</summary>
        RemoteChange = 6,
        /// <summary>Merging what was written before the load.</summary>
        Merge = 7,
        /// <summary>Running the process function of a purchase.</summary>
        Purchase = 8,
        /// <summary>Sending remote changes.</summary>
        Send = 9,
    }

    /// <summary>How much a log message matters.</summary>
    public enum LogLevel
    {
        /// <summary>The steps of a session, with verbose logs.</summary>
        Debug = 0,
        /// <summary>What passes by itself.</summary>
        Info = 1,
        /// <summary>What someone should look at.</summary>
        Warning = 2,
        /// <summary>A mistake in code or configuration.</summary>
        Error = 3,
    }

    /// <summary>A setting that has a default for the whole process.</summary>
    public enum ConfigValue
    {
        /// <summary>Verbose logs: 0 or 1 (0).</summary>
        VerboseLogs = 1,
        /// <summary>The storage is read but never written: 0 or 1 (0).</summary>
        ReadOnlyDataStores = 2,
        /// <summary>The longest that a session goes without a save, in seconds (300).</summary>
        MaintainSessionPeriod = 3,
        /// <summary>How long a session that stopped saving keeps its key, in seconds (1800).</summary>
        SessionExpiry = 4,
        /// <summary>The wait before a locked key is asked for again, in seconds (10).</summary>
        SessionRetryCooldown = 5,
        /// <summary>How many purchases a document remembers (100).</summary>
        PurchaseHistoryLimit = 6,
    }

    /// <summary>Whose errors go to a reporter of the whole process.</summary>
    public enum Reporter
    {
        /// <summary>Those of lockers, also of those beneath a store.</summary>
        Lockers = 1,
        /// <summary>Those of remote-change senders.</summary>
        Senders = 2,
    }

    /// <summary>What a hook for remote changes has to say.</summary>
    public enum RemoteChangeResult
    {
        /// <summary>The change is applied, and leaves the inbox in the same commit.</summary>
        Applied,
        /// <summary>
        /// It cannot be applied here, for its kind is not known. What was written is undone; the change stays
        /// in the inbox and is offered again at the next load.
        /// </summary>
        NotApplicable,
    }

    /// <summary>What a process function is called for.</summary>
    public enum ProductOp
    {
        /// <summary>
        /// Asks whether the product can be applied, and to whom: see <see cref="ProductCall.RecipientProfile"/>.
        /// </summary>
        Validate = 1,
        /// <summary>
        /// Applies the product by writing to <see cref="ProductCall.SaveData"/>, and to no other save data.
        /// Unless it is applied, what was written is undone.
        /// </summary>
        Apply = 2,
        /// <summary>
        /// Notes in the purchaser's save data what is to be known of each purchase, such as what was spent.
        /// Any result but <see cref="ProductResult.Ok"/> counts as a failure here.
        /// </summary>
        Record = 3,
    }

    /// <summary>What a process function has to say. An exception means: it has failed, ask again later.</summary>
    public enum ProductResult
    {
        /// <summary>The product can be applied, is applied, or is recorded.</summary>
        Ok,
        /// <summary>It cannot be applied, and becomes credit; a gift is answered with no.</summary>
        NotApplicable,
        /// <summary>
        /// Not now (the friend whom the gift was for has left); for <see cref="ProductOp.Validate"/> only. The
        /// purchase is answered with no, and nothing is written.
        /// </summary>
        NotNow,
    }

    /// <summary>What must be true of a key for a commit or an erasure to go through.</summary>
    public enum Expected
    {
        /// <summary>Its record is there, at the given revision.</summary>
        Present = 0,
        /// <summary>There is no record; the revision is that of its erasure, or empty.</summary>
        Absent = 1,
        /// <summary>Nothing. Only an erasure says this.</summary>
        Any = 2,
    }
}
