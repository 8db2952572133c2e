codes! {
    NOT_RECOGNISED: "TM1201" = "A webhook delivery is not recognised",
    DELIVERY_TOO_LARGE: "TM1202" = "A webhook delivery is too large",
    BAD_PAYLOAD: "TM1203" = "A webhook's payload is not understood",
    FILTER_FAILED: "TM1204" = "The filter of a webhook fails on a delivery",
    MAPPING_FAILED: "TM1205" = "A webhook's payload does not give the parameters",
    NO_EVENT_KEY: "TM1206" = "A webhook delivery does not name its event",
    HOOK_SECRET: "TM1207" = "The secret of a webhook cannot be read",
    HOOK_SETTINGS: "TM1208" = "Settings of a webhook do not go together",
    UNKNOWN_TRIGGER: "TM1209" = "There is no such trigger",
    UNKNOWN_LETTER: "TM1210" = "There is no such dead letter",
    NOT_REPLAYABLE: "TM1211" = "A dead letter cannot be replayed",
    TRIGGER_TWICE: "TM1212" = "Two triggers have the same name",
}
