codes! {
    QUEUE_ADDRESS: "TM1401" = "The address of the queue is not understood",
    NO_CLUSTER: "TM1402" = "The command needs a shared database and a queue",
    SECRET_PLACE: "TM1403" = "The place of an address cannot be read",
    S3_SETTING: "TM1420" = "A setting of the S3 bucket cannot be used",
    S3_UNREACHABLE: "TM1421" = "The S3 server cannot be reached",
    S3_DENIED: "TM1422" = "The S3 server does not let this program in",
    S3_NO_BUCKET: "TM1423" = "There is no such bucket",
    PLACE_TAKEN: "TM1424" = "The place for blobs belongs to another installation",
    BLOBS_REMOVED: "TM1425" = "What the run needs was removed because of its age",
    KAFKA: "TM1430" = "The settings of Kafka cannot be used",
    WEBHOOK: "TM1431" = "A webhook out cannot be used",
    RECORDS: "TM1440" = "Records of runs and tasks cannot be kept or read",
}
