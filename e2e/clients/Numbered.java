/** Values that say who wrote which record where, and are not all of one length: as chaos/record.rs makes them. */
final class Numbered {
    private Numbered() {}

    static String value(String producer, int partition, int number) {
        String letter = String.valueOf((char) ('a' + number % 26));
        return producer + " " + partition + " " + number + " " + letter.repeat((int) (number * 31L % 150));
    }
}
