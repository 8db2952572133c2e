codes! {
    UNKNOWN_WORDS: "TM1001" = "Words of the request are not understood",
    AMBIGUOUS: "TM1002" = "Words of the request have more than one reading",
    UNSUPPORTED: "TM1003" = "The request asks for something that is not done here",
    NOTHING_ASKED: "TM1004" = "The request does not say what rows it is about",
    CONTRADICTION: "TM1005" = "Parts of the request do not go together",
    NO_JOIN: "TM1006" = "No key leads from one table to the other",
    TOO_LONG: "TM1007" = "The request is too long",
}
