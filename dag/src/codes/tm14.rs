codes! {
    QUEUE_ADDRESS: "TM1401" = "The address of the queue is not understood",
    NO_CLUSTER: "TM1402" = "The command needs a shared database and a queue",
    SECRET_PLACE: "TM1403" = "The place of an address cannot be read",
}
