codes! {
    CYCLE: "TM0401" = "Tasks wait for each other in a circle",
    NO_VIEW: "TM0402" = "A task cannot be a view",
    NO_TASKS: "TM0403" = "The definition has no tasks",
    TOO_MANY_TASKS: "TM0404" = "The definition has too many tasks",
}
