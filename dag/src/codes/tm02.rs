codes! {
    BAD_NAME: "TM0201" = "A name has a form that is not allowed",
    UNKNOWN_TASK: "TM0202" = "A task is not known",
    UNKNOWN_CONNECTION: "TM0203" = "A connection is not known",
    UNKNOWN_TABLE: "TM0204" = "A connection has no such table",
    UNKNOWN_RELATION: "TM0205" = "A name in SQL is neither a task nor a table",
    NO_ROWS: "TM0206" = "A task that gives no rows is read as if it did",
    BAD_SECRET: "TM0207" = "A secret place is not understood",
    UNKNOWN_PARAM: "TM0208" = "A run was given a parameter that does not exist",
    MISSING_PARAM: "TM0209" = "A run lacks a required parameter",
    BAD_PARAM: "TM0210" = "A parameter's value does not fit its type",
    UNKNOWN_POOL: "TM0211" = "A pool is not known",
}
