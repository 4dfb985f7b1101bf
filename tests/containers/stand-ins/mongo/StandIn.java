import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;

/** A server that speaks MongoDB's protocol on port 27017 and keeps its data in a file. */
public class StandIn {
  public static void main(String[] arguments) throws Exception {
    H2Backend backend = new H2Backend(arguments[0]);
    backend.version(new MongoVersion() { // its newest one says wire version 8, which is too old for today's drivers
      public int getWireVersion() { return 13; }
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public String toVersionString() { return "5.0.0"; }
    });
    MongoServer server = new MongoServer(backend);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    server.bind("0.0.0.0", 27017);
    Thread.currentThread().join();
  }
}
